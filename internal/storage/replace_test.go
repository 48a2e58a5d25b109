package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestAFileIsReplacedAsAWhole(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	dir := s.Path()
	const name = "logs/training/r-0000000001/status.json"
	path := filepath.Join(dir, name)
	content := func(i int) []byte { return fmt.Appendf(nil, "%0100000d", i) }
	if err := s.Replace(t.Context(), name, content(0)); err != nil {
		t.Fatal(err)
	}
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := range 200 {
			if err := s.Replace(t.Context(), name, content(i)); err != nil {
				t.Error(err)
			}
		}
	})
	for range 200 {
		if b, err := os.ReadFile(path); err != nil || len(b) != 100_000 {
			t.Fatalf("read %d bytes, %v", len(b), err)
		}
	}
	writing.Wait()
	names, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(names) != 1 {
		t.Errorf("left %v, %v", names, err)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode()&shownBits != DefaultMode&shownBits {
		t.Errorf("the folder is %v, %v: jobs write there, too", info.Mode(), err)
	}
}

func TestReplacingGoesNowhereElse(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	dir := s.Path()
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "status.json"), []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, link := range [][2]string{{outside, "logs/training/dir"}, {filepath.Join(outside, "status.json"), "logs/training/.status.json.new"}, {filepath.Join(outside, "status.json"), "logs/training/status.json"}} {
		if err := os.Symlink(link[0], filepath.Join(dir, link[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Replace(t.Context(), "logs/training/dir/status.json", []byte("x")); err == nil {
		t.Error("a folder that is a link was written through")
	}
	for _, bad := range []string{"../x", "/etc/x", "logs/../../x", ""} {
		if err := s.Replace(t.Context(), bad, []byte("x")); err == nil {
			t.Errorf("%q was written", bad)
		}
	}
	if err := s.Replace(t.Context(), "logs/training/status.json", []byte("new")); err != nil { // in place of the link
		t.Error(err)
	}
	if b, err := os.ReadFile(filepath.Join(outside, "status.json")); err != nil || string(b) != "kept" {
		t.Errorf("outside is %q, %v", b, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "logs/training/status.json")); err != nil || string(b) != "new" {
		t.Errorf("inside is %q, %v", b, err)
	}
}

func TestAFileIsReadIfItHasChanged(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	const name = "logs/training/x.json"
	if err := s.Replace(t.Context(), name, []byte("12345")); err != nil {
		t.Fatal(err)
	}
	content, changed, err := s.Read(t.Context(), name, time.Time{}, 5)
	if err != nil || string(content) != "12345" || changed.IsZero() {
		t.Fatalf("%q, %v, %v", content, changed, err)
	}
	if content, _, err = s.Read(t.Context(), name, changed.Add(1), 5); err != nil || content != nil {
		t.Errorf("%q, %v, although it has not changed", content, err)
	}
	if _, _, err = s.Read(t.Context(), name, changed, 4); err == nil {
		t.Error("a longer one was read")
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(s.Path(), "logs/training/out.json")); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"logs/training/out.json", "../x", "logs/training", "nothing"} {
		if content, _, err := s.Read(t.Context(), bad, time.Time{}, 100); err == nil {
			t.Errorf("%s has %q", bad, content)
		}
	}
}

func TestAFileIsExtendedInPlaceAndNowhereElse(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	const name = "logs/training/r/worker-0.log"
	for _, step := range []struct {
		offset        int64
		content, want string
	}{{0, "one\n", "one\n"}, {4, "two\n", "one\ntwo\n"}, {4, "2\n", "one\n2\n"}} {
		if err := s.Extend(t.Context(), name, step.offset, []byte(step.content)); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(s.Path(), name)); err != nil || string(b) != step.want {
			t.Errorf("%q, %v, want %q", b, err, step.want)
		}
	}
	kept := filepath.Join(s.Path(), "models", "kept")
	if err := os.WriteFile(kept, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(s.Path(), "logs", "training")
	if err := errors.Join(os.Link(kept, filepath.Join(dir, "hard")), os.Symlink(kept, filepath.Join(dir, "soft")), syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"logs/training/hard", "logs/training/soft", "logs/training/fifo", "logs/training", "../x"} {
		if err := s.Extend(t.Context(), bad, 0, []byte("x")); err == nil {
			t.Errorf("%s was written", bad)
		}
	}
	if b, err := os.ReadFile(kept); err != nil || string(b) != "kept" {
		t.Errorf("%q, %v", b, err)
	}
}
