package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
)

func TestDeleteRemovesATreeAndCountsIt(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	f.write("models/checkpoints/r-1/step_10/__0_0.distcp", strings.Repeat("x", 100))
	f.write("models/checkpoints/r-1/step_10/.metadata", "12345")
	f.write("models/checkpoints/r-1/step_20/__0_0.distcp", "x")
	f.write("models/checkpoints/r-2/kept", "x")
	f.write("datasets/raw/kept", "x")
	f.link("../../../datasets/raw", "models/checkpoints/r-1/data")
	f.link("/etc", "models/checkpoints/r-1/out")
	if err := syscall.Mkfifo(filepath.Join(f.dir, "models/checkpoints/r-1/fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	u, err := f.Usage(t.Context(), "models/checkpoints/r-1")
	if want := (Usage{Files: 6, Folders: 3, Bytes: 106}); err != nil || u != want {
		t.Errorf("usage %+v, %v, want %+v", u, err, want)
	}
	r, err := f.Delete(t.Context(), "models/checkpoints/r-1/")
	if want := (Removed{Files: 6, Folders: 3, Bytes: 106}); err != nil || r != want {
		t.Errorf("removed %+v, %v, want %+v", r, err, want)
	}
	if f.there("models/checkpoints/r-1") || !f.there("models/checkpoints/r-2/kept") || !f.there("datasets/raw/kept") {
		t.Error("the wrong things are gone")
	}
	if _, err := f.Delete(t.Context(), "models/checkpoints/r-1"); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("again: %v", err)
	}
}

func TestTheRootAndTheLayoutAreNeverDeleted(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	paths := []string{"", ".", "models/", "datasets/raw/"}
	for _, x := range layout() {
		paths = append(paths, x.Path)
	}
	for _, p := range paths {
		var refused *Refusal
		if _, err := f.Delete(t.Context(), p); !errors.As(err, &refused) {
			t.Errorf("%q: %v", p, err)
		}
	}
	for _, x := range layout() {
		if !f.there(x.Path) {
			t.Errorf("%s is gone", x.Path)
		}
	}
}

func TestDeleteNeverGoesThroughALink(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	f.write("models/final/m/weights", "x")
	f.link("..", "datasets/raw/up")
	f.link("../../models/final", "datasets/raw/final")
	for _, p := range []string{"datasets/raw/final/m", "datasets/raw/final/m/weights", "datasets/raw/up/raw", "datasets/raw/up/up/models/final/m"} {
		var refused *Refusal
		if _, err := f.Delete(t.Context(), p); !errors.As(err, &refused) || !strings.Contains(refused.Reason, "link") && !strings.Contains(refused.Reason, "out") {
			t.Errorf("%s: %v", p, err)
		}
	}
	if r, err := f.Delete(t.Context(), "datasets/raw/final"); err != nil || r != (Removed{Files: 1}) || !f.there("models/final/m/weights") {
		t.Errorf("the link itself: %+v, %v", r, err)
	}
}

func TestDeleteStopsWithItsContextAndGoesOnWhenCalledAgain(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	const files = 3000
	for i := range files {
		f.write(fmt.Sprintf("models/temp/much/%d/%d", i%10, i), "x")
	}
	parent, base, err := f.parentOf("models/temp/much")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = parent.Close() }()
	info, err := parent.Lstat(base)
	if err != nil {
		t.Fatal(err)
	}
	d := &deletion{ctx: &endsAfter{Context: t.Context(), left: 500}, depth: 10}
	if err := d.remove(parent, base, info, 0); !errors.Is(err, context.Canceled) || d.sum.Files < 100 || d.sum.Files >= 500 {
		t.Fatalf("%+v, %v", d.sum, err)
	}
	r, err := f.Delete(t.Context(), "models/temp/much")
	if err != nil || r.Files+d.sum.Files != files || r.Folders+d.sum.Folders != 11 || f.there("models/temp/much") {
		t.Errorf("%+v after %+v, %v", r, d.sum, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Delete(ended, "models/temp/x"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// endsAfter is a context that ends once it has been asked so many times.
type endsAfter struct {
	context.Context
	left int
}

func (c *endsAfter) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestTreesThatAreTooDeepAreCountedInPartAndNotDeleted(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	f.limits.depth = 20
	f.write("models/temp/"+strings.Repeat("d/", 18)+"file", "x")
	f.write("models/temp/e/"+strings.Repeat("e/", 30)+"file", "x")
	if u, err := f.Usage(t.Context(), "models/temp/e"); err != nil || !u.Partial || u.Files != 0 {
		t.Errorf("%+v, %v", u, err)
	}
	var refused *Refusal
	if _, err := f.Delete(t.Context(), "models/temp/e"); !errors.As(err, &refused) || !strings.Contains(refused.Reason, "deep") {
		t.Errorf("%v", err)
	}
	if r, err := f.Delete(t.Context(), "models/temp/d"); err != nil || r.Folders != 18 || r.Files != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestTheDeepestTreeThatIsAllowedNeedsNoMoreThanTheUsualFiles(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	at := "models/temp"
	for range 250 {
		at += "/x"
	}
	f.write(at+"/file", "12")
	if u, err := f.Usage(t.Context(), "models/temp/x"); err != nil || u != (Usage{Files: 1, Folders: 250, Bytes: 2}) {
		t.Errorf("%+v, %v", u, err)
	}
	if r, err := f.Delete(t.Context(), "models/temp/x"); err != nil || r.Folders != 250 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestUsageOfVeryMuchIsPartial(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	f.limits.usage = 50
	for i := range 100 {
		f.write(fmt.Sprintf("models/temp/a/%d/%d", i%10, i), "x")
	}
	if u, err := f.Usage(t.Context(), "models/temp/a"); err != nil || !u.Partial || u.Files == 0 || u.Files > 50 {
		t.Errorf("%+v, %v", u, err)
	}
	f.limits.usage = 110
	if u, err := f.Usage(t.Context(), "models/temp/a"); err != nil || u != (Usage{Files: 100, Folders: 11, Bytes: 100}) {
		t.Errorf("%+v, %v", u, err)
	}
	if _, err := f.Usage(t.Context(), "models/temp/gone"); !errors.Is(err, fault.ErrNotFound) {
		t.Error(err)
	}
	f.limits.usage = 1000
	if u, err := f.Usage(t.Context(), ""); err != nil || u.Folders != 26 {
		t.Errorf("the root: %+v, %v", u, err)
	}
}

func TestManyDeleteAndListTheSameTreeAtOnce(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	for i := range 2000 {
		f.write(fmt.Sprintf("models/temp/t/%d/%d", i%20, i), "x")
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var sum Removed
	for range 4 {
		all.Go(func() {
			r, err := f.Delete(t.Context(), "models/temp/t")
			if err != nil && !errors.Is(err, fault.ErrNotFound) && !errors.Is(err, fault.ErrConflict) {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			sum.Files, sum.Folders = sum.Files+r.Files, sum.Folders+r.Folders
		})
		all.Go(func() {
			for i := range 30 {
				if _, err := f.List(t.Context(), fmt.Sprintf("models/temp/t/%d", i%20), Query{Sort: SortSize}); err != nil && !errors.Is(err, fault.ErrNotFound) && !errors.Is(err, fault.ErrConflict) {
					t.Error(err)
				}
				if _, err := f.Usage(t.Context(), "models/temp"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if sum.Files != 2000 || sum.Folders != 21 {
		t.Errorf("%+v removed in all", sum)
	}
	if f.there("models/temp/t") {
		t.Error("it is still there")
	}
}

func TestAFolderIsNotEnteredOnceSomethingElseHasTakenItsPlace(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	f.write("models/temp/victim/file", "x")
	f.write("models/final/precious", "x")
	parent, base, err := f.parentOf("models/temp/victim")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = parent.Close() }()
	info, err := parent.Lstat(base)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(f.dir, "models/temp/victim"), filepath.Join(f.dir, "models/temp/moved")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(f.dir, "models/temp/other"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"other", "../final"} {
		_ = os.Remove(filepath.Join(f.dir, "models/temp/victim")) // of the round before
		f.link(target, "models/temp/victim")
		d := &deletion{ctx: t.Context(), depth: 10}
		if err := d.remove(parent, base, info, 0); err == nil {
			t.Errorf("entered a link to %s", target)
		}
	}
	if !f.there("models/final/precious") || !f.there("models/temp/moved/file") {
		t.Error("something was deleted")
	}
}
