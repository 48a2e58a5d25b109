package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/fault"
)

// fixture is a storage in a folder of its own, which ends with the test.
type fixture struct {
	*Storage
	t   testing.TB
	dir string
	log bytes.Buffer
}

func open(t *testing.T, o Options) *fixture {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "shared"), o)
}

func openAt(t testing.TB, dir string, o Options) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: dir}
	o.Logger = slog.New(slog.NewTextHandler(&f.log, nil))
	s, err := Open(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	f.Storage = s
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return f
}

// write makes a file with its folders, around the storage.
func (f *fixture) write(name, content string) {
	f.t.Helper()
	p := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) remove(name string) {
	f.t.Helper()
	if err := os.RemoveAll(filepath.Join(f.dir, name)); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) link(target, name string) {
	f.t.Helper()
	if err := os.Symlink(target, filepath.Join(f.dir, name)); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) there(name string) bool {
	_, err := os.Lstat(filepath.Join(f.dir, name))
	return err == nil
}

func TestOpenMakesTheLayoutWithItsModesAndSaysSoOnce(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	for name, want := range map[string]fs.FileMode{
		"models": 0o755, "models/checkpoints": fs.ModeSetgid | 0o775, "models/final": fs.ModeSetgid | 0o775, "models/temp": fs.ModeSetgid | 0o775,
		"datasets": fs.ModeSetgid | 0o775, "datasets/raw": fs.ModeSetgid | 0o775, "datasets/processed": fs.ModeSetgid | 0o775, "datasets/splits": fs.ModeSetgid | 0o775,
		"configs": 0o755, "configs/generated": 0o755, "configs/templates": 0o755,
		"logs": 0o755, "logs/training": fs.ModeSetgid | 0o775, "logs/system": fs.ModeSetgid | 0o775,
	} {
		info, err := os.Stat(filepath.Join(f.dir, name))
		if err != nil || !info.IsDir() || info.Mode()&shownBits != want {
			t.Errorf("%s: %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
	if !strings.Contains(f.log.String(), "Made the layout.") {
		t.Errorf("log: %s", &f.log)
	}
	again := openAt(t, f.dir, Options{})
	if again.log.Len() != 0 {
		t.Errorf("the second time it did or missed something: %s", &again.log)
	}
}

func TestRepairMakesWhatIsMissingLeavesTheRestAndSaysWhatItDid(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	f.write("models/final/kept.bin", "x")
	if err := os.Chmod(filepath.Join(f.dir, "configs"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"datasets/raw", "logs/system", "logs/training", "logs"} {
		if err := os.Remove(filepath.Join(f.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	folders, err := f.Layout(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var lost []string
	for _, x := range folders {
		if x.Problem == "It is missing." && !x.Found {
			lost = append(lost, x.Path)
		}
	}
	if diff := cmp.Diff([]string{"datasets/raw", "logs", "logs/training", "logs/system"}, lost); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	done, folders, err := f.Repair(t.Context())
	if err != nil || cmp.Diff([]string{"Made datasets/raw, logs, logs/training, logs/system."}, done) != "" {
		t.Errorf("did %q, %v", done, err)
	}
	for _, x := range folders {
		if !x.Found || x.Problem != "" {
			t.Errorf("%s: %+v", x.Path, x)
		}
	}
	if info, err := os.Stat(filepath.Join(f.dir, "configs")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("a mode that the operator chose was changed: %v, %v", info.Mode(), err)
	}
	if done, _, err := f.Repair(t.Context()); err != nil || len(done) != 0 || !f.there("models/final/kept.bin") {
		t.Errorf("the second time it did %q, %v", done, err)
	}
}

func TestWhatStandsInTheWayOfTheLayoutIsNamedAndNotTouched(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "models"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc", filepath.Join(dir, "logs")); err != nil {
		t.Fatal(err)
	}
	f := openAt(t, dir, Options{})
	folders, err := f.Layout(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range folders {
		inTheWay := strings.HasPrefix(x.Path, "models") || strings.HasPrefix(x.Path, "logs")
		if inTheWay != (x.Problem != "") {
			t.Errorf("%s: problem %q", x.Path, x.Problem)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "models")); err != nil || string(b) != "mine" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := os.Lstat("/etc/training"); err == nil {
		t.Error("a folder was made through a link that leads out")
	}
	if !strings.Contains(f.log.String(), "folder=models ") || !strings.Contains(f.log.String(), "level=WARN") {
		t.Errorf("log: %s", &f.log)
	}
}

func TestModeGroupAndOwnerOfTheLayoutCanBeSet(t *testing.T) {
	t.Parallel()
	gid := fmt.Sprint(os.Getgid())
	f := open(t, Options{Mode: 0o770, Group: gid, Owner: fmt.Sprint(os.Getuid())})
	info, err := os.Stat(filepath.Join(f.dir, "models/checkpoints"))
	if err != nil || info.Mode()&shownBits != 0o770 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	folders, err := f.Layout(t.Context())
	if err != nil || folders[1].Problem != "" || folders[1].Owner == "" {
		t.Errorf("%+v, %v", folders[1], err)
	}
	if _, err := Open(t.Context(), t.TempDir(), Options{Group: "no such group here", Logger: slog.New(slog.DiscardHandler)}); !errors.Is(err, fault.ErrInvalid) || !strings.Contains(err.Error(), "no such group here") {
		t.Errorf("unknown group: %v", err)
	}
}

func TestAFileWhereTheStorageShouldBeIsAnError(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), name, Options{Logger: slog.New(slog.DiscardHandler)}); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("%v", err)
	}
}

func TestModesAreReadAndWrittenAsChmodDoes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]fs.FileMode{"2775": fs.ModeSetgid | 0o775, "02775": fs.ModeSetgid | 0o775, "755": 0o755, "1777": fs.ModeSticky | 0o777} {
		m, ok := ParseMode(text)
		if !ok || m != want {
			t.Errorf("%s: %v, %v", text, m, ok)
		}
		if back, ok := ParseMode(FormatMode(m)); !ok || back != m {
			t.Errorf("%s comes back as %v", FormatMode(m), back)
		}
	}
	for _, text := range []string{"", "7", "4755", "077", "8", "rwx", "-755", "0x1ff", "000755"} {
		if m, ok := ParseMode(text); ok {
			t.Errorf("%q is %v", text, m)
		}
	}
}

func TestACallReturnsWhenItsContextEndsThoughTheFileSystemHangs(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), t.TempDir(), Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	hang, dropped := make(chan struct{}), make(chan int, 1)
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan struct{})
	go func() { <-started; cancel() }()
	_, err = await(ctx, s, func(context.Context, *Storage) (int, error) { close(started); <-hang; return 7, nil }, func(n int) { dropped <- n })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Close(short); err == nil {
		t.Error("closed while a call was at work")
	}
	close(hang)
	if n := <-dropped; n != 7 {
		t.Errorf("dropped %d", n)
	}
}

func TestAClosedStorageIsUnavailable(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), t.TempDir(), Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.List(t.Context(), "", Query{}); !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}
