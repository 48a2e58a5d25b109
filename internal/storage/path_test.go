package storage

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/fault"
)

// everyCall calls everything that takes a path.
func everyCall(f *fixture, p string) map[string]error {
	ctx := f.t.Context()
	_, list := f.List(ctx, p, Query{})
	_, usage := f.Usage(ctx, p)
	_, remove := f.Delete(ctx, p)
	file, open := f.Open(ctx, p)
	if open == nil {
		_ = file.Close()
	}
	return map[string]error{"list": list, "usage": usage, "delete": remove, "open": open}
}

func TestPathsThatLeadOutAreRefusedByEveryCall(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	secret := filepath.Join(filepath.Dir(f.dir), "secret")
	if err := os.MkdirAll(filepath.Join(secret, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(secret, "key"), []byte("k"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{
		"..", "../secret", "../secret/key", "models/../../secret", "models/..", "./models", "models/./final", "/etc/passwd", "//etc", secret,
		"models//final", "models/final//", "a\x00b", "..\x00", strings.Repeat("a/", 2100),
	} {
		for call, err := range everyCall(f, p) {
			if !errors.Is(err, fault.ErrInvalid) {
				t.Errorf("%s %q: %v", call, p, err)
			}
		}
	}
	// Percent-encoding is the web's: here these are names, and there is nothing of that name.
	for _, p := range []string{"..%2fsecret", "%2e%2e/secret", `..\secret`, "...", "models/..%00"} {
		for call, err := range everyCall(f, p) {
			if !errors.Is(err, fault.ErrNotFound) {
				t.Errorf("%s %q: %v", call, p, err)
			}
		}
	}
	f.link(secret, "out")
	f.link("../secret", "relative")
	f.link("../../secret/key", "models/key")
	for _, p := range []string{"out", "out/key", "out/sub", "relative/key", "models/key"} {
		for call, err := range everyCall(f, p) {
			var refused *Refusal
			deleted := call == "delete" || call == "usage" // the link itself is in the storage
			if !strings.Contains(p, "/") || p == "models/key" {
				if deleted != (err == nil) {
					t.Errorf("%s %q: %v", call, p, err)
				}
				if call == "delete" && err == nil {
					f.relink(secret, p)
				}
			} else if !errors.As(err, &refused) {
				t.Errorf("%s %q: %v", call, p, err)
			}
		}
	}
	if b, err := os.ReadFile(filepath.Join(secret, "key")); err != nil || string(b) != "k" {
		t.Errorf("what is outside was changed: %q, %v", b, err)
	}
}

// relink puts back a link that a test has deleted; only that it leads out matters.
func (f *fixture) relink(target, name string) {
	if !f.there(name) {
		f.link(target, name)
	}
}

func TestALoopOfLinksIsRefused(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	f.link("loop", "loop")
	f.link("b", "a")
	f.link("a", "b")
	for _, p := range []string{"loop", "a", "a/x"} {
		_, err := f.List(t.Context(), p, Query{})
		var refused *Refusal
		if !errors.As(err, &refused) {
			t.Errorf("list %s: %v", p, err)
		}
		if _, err := f.Open(t.Context(), p); !errors.As(err, &refused) {
			t.Errorf("open %s: %v", p, err)
		}
	}
}

func TestWhatTheSystemSaysBecomesSentencesForPeople(t *testing.T) {
	t.Parallel()
	wrap := func(err error) error { return &fs.PathError{Op: "openat", Path: "/srv/secret/place", Err: err} }
	for _, errno := range []error{syscall.EROFS, syscall.EACCES, syscall.EPERM, syscall.ELOOP, syscall.ENOTDIR, syscall.EISDIR, syscall.ENOTEMPTY, syscall.ENAMETOOLONG} {
		err := explain("models/x", wrap(errno))
		var refused *Refusal
		if !errors.As(err, &refused) || refused.Path != "models/x" || refused.Reason == "" || refused.Fix == "" || strings.Contains(err.Error(), "secret") || !errors.Is(err, fault.ErrConflict) {
			t.Errorf("%v: %v", errno, err)
		}
	}
	for _, errno := range []error{syscall.EIO, syscall.ESTALE, syscall.ETIMEDOUT, syscall.EMFILE} {
		if err := explain("x", wrap(errno)); !errors.Is(err, fault.ErrUnavailable) {
			t.Errorf("%v: %v", errno, err)
		}
	}
	if err := explain("x", wrap(syscall.ENOENT)); !errors.Is(err, fault.ErrNotFound) {
		t.Error(err)
	}
	if err := explain("x", errors.New("anything")); err == nil || errors.Is(err, fault.ErrConflict) || errors.Is(err, fault.ErrNotFound) {
		t.Error(err)
	}
}

func TestNamesAreShownWithoutEffectAndComeBackFromAddresses(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"plain.txt": "plain.txt", "a\nb": `a\nb`, "\x1b[31mred": `\x1b[31mred`, "bad\xff\xfe": `bad\xff\xfe`, "\u202egnp.exe": `\u202egnp.exe`,
		"\u2028": `\u2028`, "\u200b": `\u200b`, "日本語 é": "日本語 é", "<b>&": "<b>&", "-rf": "-rf", "👩\u200d🔬": "👩\u200d🔬", "\ufffd": `\ufffd`,
	} {
		got := Display(name)
		if got != want || !utf8.ValidString(got) {
			t.Errorf("%q is shown as %q, want %q", name, got, want)
		}
		p := "datasets/" + name + "/ x%2F?#&+"
		if back, err := url.PathUnescape(Escape(p)); err != nil || back != p {
			t.Errorf("%q comes back as %q, %v", p, back, err)
		}
		if back, err := url.ParseQuery("path=" + url.QueryEscape(p)); err != nil || back.Get("path") != p {
			t.Errorf("%q comes back as %q, %v", p, back.Get("path"), err)
		}
	}
	if got := Escape("models/checkpoints/r-0123456789/step_100"); got != "models/checkpoints/r-0123456789/step_100" {
		t.Errorf("a plain path is changed to %s", got)
	}
}

func TestAPathNamesItsParent(t *testing.T) {
	t.Parallel()
	for p, want := range map[string]string{"": "", "models": "", "models/": "", "models/final": "models", "a/b/c/": "a/b"} {
		if got := Parent(p); got != want {
			t.Errorf("%q: %q, want %q", p, got, want)
		}
	}
}
