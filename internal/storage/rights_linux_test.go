package storage

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// asNobody runs fn without the rights of root, which may do everything: the rights to files are those of a thread.
func asNobody(t *testing.T, fn func()) {
	t.Helper()
	if os.Getuid() != 0 {
		fn()
		return
	}
	done := make(chan error)
	go func() { // ends with fn; its thread ends with it, so that no other test gets it
		runtime.LockOSThread()
		err := syscall.Setfsuid(65534)
		if err == nil {
			err = syscall.Setfsgid(65534)
		}
		if err == nil {
			fn()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Skip("rights cannot be given up here:", err)
	}
}

func TestWhatTheConsoleMayNotReadIsARefusalThatSaysSo(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	f.write("models/final/private/file", "x")
	f.write("models/final/unlisted/file", "x")
	f.write("models/final/names/file", "x")
	for name, mode := range map[string]os.FileMode{"private": 0o000, "unlisted": 0o111, "names": 0o444, "names/file": 0o000} {
		p := filepath.Join(f.dir, "models/final", name)
		if err := os.Chmod(p, mode); err != nil && mode != 0 {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(p, 0o755) }) // so that the folder can be removed
	}
	ctx := t.Context()
	asNobody(t, func() {
		for p, err := range map[string]error{
			"models/final/private":  second(f.list(ctx, "models/final/private", Query{Sort: SortName, Limit: 10}, cursor{})),
			"models/final/unlisted": second(f.list(ctx, "models/final/unlisted", Query{Sort: SortName, Limit: 10}, cursor{})),
			"open":                  second(f.open("models/final/unlisted/file")),
		} {
			var refused *Refusal
			if !errors.As(explain(p, err), &refused) || !strings.Contains(refused.Reason, "right") {
				t.Errorf("%s: %v", p, err)
			}
		}
		// Names that may be read without what they name: the listing is whole, the numbers are not known.
		for _, by := range []Sort{SortName, SortSize} {
			l, err := f.list(ctx, "models/final/names", Query{Sort: by, Limit: 10}, cursor{})
			if err != nil || len(l.Entries) != 1 || l.Entries[0].Size != -1 || !l.Entries[0].Time.IsZero() {
				t.Errorf("by %s: %+v, %v", by, l, err)
			}
		}
		w := &counting{ctx: ctx, s: f.Storage, left: 100, depth: 10}
		info, err := f.root.Lstat("models/final/private")
		if err != nil {
			t.Error(err)
			return
		}
		sub, err := f.root.OpenRoot("models/final")
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = sub.Close() }()
		if w.count(sub, "models/final/private", "private", info, 0); !w.sum.Partial {
			t.Errorf("usage is not partial: %+v", w.sum)
		}
	})
}

func TestAStorageThatMayNotBeWrittenIsReadAndItsProblemsAreSaid(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	f.write("models/final/file", "x")
	for _, name := range []string{"logs/system", "logs/training", "logs"} {
		if err := os.Remove(filepath.Join(f.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"models/final", ""} {
		p := filepath.Join(f.dir, name)
		if err := os.Chmod(p, 0o555); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(p, 0o755) }) // so that the folder can be removed
	}
	ctx := t.Context()
	asNobody(t, func() {
		done, problems := f.repair("")
		if len(done) != 0 || !strings.Contains(problems["logs"], "could not be made: permission denied") {
			t.Errorf("did %q, problems %q", done, problems)
		}
		if l, err := f.list(ctx, "models/final", Query{Sort: SortName, Limit: 10}, cursor{}); err != nil || len(l.Entries) != 1 {
			t.Errorf("%+v, %v", l, err)
		}
		parent, base, err := f.parentOf("models/final/file")
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = parent.Close() }()
		info, err := parent.Lstat(base)
		if err != nil {
			t.Error(err)
			return
		}
		d := &deletion{ctx: ctx, depth: 10}
		var refused *Refusal
		if err := explain("models/final/file", d.remove(parent, base, info, 0)); !errors.As(err, &refused) || d.sum.Files != 0 {
			t.Errorf("%+v, %v", d.sum, err)
		}
	})
	if !f.there("models/final/file") {
		t.Error("it was deleted")
	}
}

func TestAnOwnerThatMayNotBeGivenIsSaidAndTheRestIsDone(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	if err := os.Chmod(f.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(f.dir, "configs/templates")); err != nil {
		t.Fatal(err)
	}
	f.owner = ownership{uid: 4242, gid: -1, name: "4242:"}
	asNobody(t, func() {
		_, problems := f.repair("")
		if !strings.Contains(problems["models"], "does not belong to 4242:") {
			t.Errorf("%q", problems)
		}
	})
	for _, x := range f.look("", nil) {
		if x.Found && !strings.Contains(x.Problem, "not to 4242:") {
			t.Errorf("%s: %q", x.Path, x.Problem)
		}
	}
}

func second[T any](_ T, err error) error { return err }
