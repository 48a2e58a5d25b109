package cli

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/api"
	"github.com/cotrain/cotrain/internal/api/apitest"
	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/guard/guardtest"
	"github.com/cotrain/cotrain/internal/run"
)

// newStorageConsole is a console with real shared storage in a folder.
func newStorageConsole(t *testing.T) (c *console, dir string) {
	t.Helper()
	return newStoragesConsole(t, nil)
}

// newStoragesConsole is newStorageConsole, for projects with their folders.
func newStoragesConsole(t *testing.T, folders map[string]string) (c *console, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "shared")
	files := guardtest.Open(t, dir, folders)
	c = &console{Console: apitest.New(), t: t, files: map[string]string{}, now: time.Now().Add(time.Hour)}
	c.UseStorage(func(ctx context.Context, project string) (api.Storage, error) { return files.In(ctx, project) })
	srv := httptest.NewServer(c.handler())
	t.Cleanup(srv.Close)
	c.url = srv.URL
	return c, dir
}

func keep(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestStorageListShowsWhatIsThere(t *testing.T) {
	t.Parallel()
	c, dir := newStorageConsole(t)
	c.cotrain("storage", "list").want(t, exitDone, "models/")
	r := c.cotrain("storage", "list", "models/final").want(t, exitDone)
	if !strings.Contains(r.errOut, "nothing here yet; what belongs here: Finished models") {
		t.Errorf("%q", r.errOut)
	}
	keep(t, filepath.Join(dir, "models/final/model.bin"), strings.Repeat("x", 3000))
	keep(t, filepath.Join(dir, "models/final/bad\xff\x1b[2J"), "x")
	keep(t, filepath.Join(dir, "models/final/sub/x"), "12345")
	if err := os.Symlink("/etc", filepath.Join(dir, "models/final/out")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "models/final/fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	r = c.cotrain("storage", "list", "models/final/", "--sort", "size", "-r", "--sizes").want(t, exitDone, "2.93 KiB", `bad\xff\x1b[2J`, "sub/", "out -> /etc (not in the storage)", "fifo (FIFO)")
	if lines := strings.Split(r.out, "\n"); !strings.Contains(lines[1], "model.bin") || strings.Contains(r.out, "\x1b") {
		t.Errorf("%s", r.out)
	}
	page := fromJSON[client.StoragePage](t, c.cotrain("storage", "list", "models/final", "--format", "json", "--limit", "2"))
	if len(page.Items) != 2 || page.Next == "" || page.Items[0].Path != "models/final/bad%FF%1B%5B2J" {
		t.Errorf("%+v", page)
	}
	c.cotrain("storage", "list", "models/gone").want(t, exitNotFound)
	c.cotrain("storage", "list", "models/final/out").want(t, exitRefused)
	c.cotrain("storage", "list", "../etc").want(t, exitRefused)
	c.cotrain("storage", "list", "--limit", "0").want(t, exitUsage)
	newConsole(t).cotrain("storage", "list").want(t, exitNotFound)
}

func TestStorageListReadsAllPages(t *testing.T) {
	t.Parallel()
	c, dir := newStorageConsole(t)
	for i := range 1100 {
		keep(t, filepath.Join(dir, "models/temp", strings.Repeat("x", i%7)+string(rune('a'+i%26))+strings.Repeat("y", i%11)+time.Duration(i).String()), "")
	}
	page := fromJSON[client.StoragePage](t, c.cotrain("storage", "list", "models/temp", "--limit", "5000", "--format", "json"))
	if len(page.Items) != 1100 || page.Next != "" {
		t.Errorf("%d entries, next %q", len(page.Items), page.Next)
	}
	if r := c.cotrain("storage", "list", "models/temp", "--limit", "10").want(t, exitDone); !strings.Contains(r.errOut, "there are more") {
		t.Errorf("%q", r.errOut)
	}
}

func TestStorageGetKeepsWholeFilesOnly(t *testing.T) {
	t.Parallel()
	c, dir := newStorageConsole(t)
	content := strings.Repeat("0123456789", 100_000)
	keep(t, filepath.Join(dir, "models/final/model.bin"), content)
	keep(t, filepath.Join(dir, "models/final/-odd\xff\n"), "odd")
	keep(t, filepath.Join(dir, "models/final/new\nline"), "two")
	out := filepath.Join(t.TempDir(), "kept")
	c.cotrain("storage", "get", "models/final/model.bin", "-o", out).want(t, exitDone, "977 KiB")
	if b, err := os.ReadFile(out); err != nil || string(b) != content {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	c.cotrain("storage", "get", "models/final/new\nline", "-o", out).want(t, exitUsage)
	c.cotrain("storage", "get", "models/final/new\nline", "-o", out, "--force").want(t, exitDone)
	if b, err := os.ReadFile(out); err != nil || string(b) != "two" {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	c.cotrain("storage", "get", "models/final/-odd\xff\n", "-o", "-").want(t, exitUsage)
	if r := c.cotrain("storage", "get", "--encoded", "models/final/-odd%FF%0A", "-o", "-"); r.code != exitDone || r.out != "odd" {
		t.Errorf("%+v", r)
	}
	c.cotrain("storage", "get", "--encoded", "models/final/%zz").want(t, exitUsage)
	for path, code := range map[string]int{"models/final": exitRefused, "models/final/gone": exitNotFound, "../x": exitRefused, "..": exitUsage, "/": exitUsage} {
		c.cotrain("storage", "get", path, "-o", out+"2").want2(t, path, code)
		if path == ".." || path == "/" {
			c.cotrain("storage", "get", path).want(t, exitUsage)
		}
	}
	c.cotrain("storage", "get", "models/final/model.bin", "-o", filepath.Join(dir, "no", "such", "folder")).want(t, exitUsage)
	left, err := os.ReadDir(filepath.Dir(out))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// want2 is want for what a path alone decides; with -o the path itself need not name a file.
func (r result) want2(t *testing.T, path string, code int) {
	t.Helper()
	if path == ".." || path == "/" {
		code = exitRefused
	}
	if r.code != code {
		t.Errorf("%q: code %d, want %d: %s", path, r.code, code, r.errOut)
	}
}

func TestADownloadThatBreaksOffLeavesNothing(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("half"))
	}))
	defer srv.Close()
	c := newConsole(t)
	c.url = srv.URL
	out := filepath.Join(t.TempDir(), "kept")
	r := c.cotrain("storage", "get", "models/final/m", "-o", out)
	if r.code != exitFailed || !strings.Contains(r.errOut, "cannot reach the console") {
		t.Errorf("%+v", r)
	}
	if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestStorageDeleteSaysHowMuchBeforeItDoes(t *testing.T) {
	t.Parallel()
	c, dir := newStorageConsole(t)
	keep(t, filepath.Join(dir, "models/temp/old/x"), "12345")
	r := c.cotrain("storage", "delete", "models/temp/old").want(t, exitUsage)
	if !strings.Contains(r.errOut, "removes 1 files and 1 folders with 5 B for good; add --yes") {
		t.Errorf("%q", r.errOut)
	}
	n := fromJSON[client.StorageCount](t, c.cotrain("storage", "delete", "models/temp/old/", "--yes", "--format", "json"))
	if n != (client.StorageCount{Files: 1, Folders: 1, Bytes: 5}) {
		t.Errorf("%+v", n)
	}
	c.cotrain("storage", "delete", "models/temp/old", "--yes").want(t, exitNotFound)
	c.cotrain("storage", "delete", "models/temp", "--yes").want(t, exitRefused)
	for _, place := range []string{".", "models/temp"} {
		r := c.cotrain("storage", "delete", place).want(t, exitUsage, "is part of the layout", "Delete what is in it")
		if strings.Contains(r.errOut, "--yes") {
			t.Errorf("%s: %q", place, r.errOut)
		}
	}
	c.cotrain("storage", "delete", "models/../../x", "--yes").want(t, exitRefused)
}

func TestDeletingTheCheckpointsOfARunThatGoesOnNeedsToBeMeant(t *testing.T) {
	t.Parallel()
	c, dir := newStorageConsole(t)
	c.Add(run.Run{ID: "r-0a1b2c3d4e", Name: "first", State: run.Running, CheckpointPath: "models/checkpoints/mine"})
	keep(t, filepath.Join(dir, "models/checkpoints/mine/step_5/x"), "12345")
	r := c.cotrain("storage", "delete", "models/checkpoints/mine/step_5").want(t, exitUsage)
	if !strings.Contains(r.errOut, "keeps its checkpoints there") || !strings.Contains(r.errOut, "cannot be resumed from them; stop it first, or add --yes --in-use") {
		t.Errorf("%q", r.errOut)
	}
	r = c.cotrain("storage", "delete", "models/checkpoints/mine/step_5", "--yes").want(t, exitRefused)
	if !strings.Contains(r.errOut, "“first” (r-0a1b2c3d4e) is running and keeps its checkpoints there") || !strings.Contains(r.errOut, "--in-use") {
		t.Errorf("%q", r.errOut)
	}
	c.cotrain("storage", "delete", "models/checkpoints/mine/step_5", "--yes", "--in-use").want(t, exitDone)
	c.Change("r-0a1b2c3d4e", func(r *run.Run) { r.State = run.Stopped })
	c.cotrain("storage", "delete", "models/checkpoints/mine", "--yes").want(t, exitDone)
}

func TestStorageLayoutTellsAndRepairs(t *testing.T) {
	t.Parallel()
	c, dir := newStorageConsole(t)
	if err := os.Remove(filepath.Join(dir, "models/final")); err != nil {
		t.Fatal(err)
	}
	r := c.cotrain("storage", "layout").want(t, exitDone, "models/checkpoints", "2775", dir)
	if !strings.Contains(r.errOut, "models/final: It is missing.") {
		t.Errorf("%q", r.errOut)
	}
	r = c.cotrain("storage", "layout", "--repair").want(t, exitDone)
	if !strings.Contains(r.errOut, "Made models/final.") || strings.Contains(r.errOut, "missing") {
		t.Errorf("%q", r.errOut)
	}
	if st := fromJSON[client.SharedStorage](t, c.cotrain("storage", "layout", "--format", "json")); len(st.Folders) != 14 {
		t.Errorf("%+v", st)
	}
}

func TestStorageIsThatOfTheProject(t *testing.T) {
	t.Parallel()
	c, dir := newStoragesConsole(t, map[string]string{"vision": "teams/vision", "audio": "teams/audio"})
	keep(t, filepath.Join(dir, "teams/vision/models/final/mine"), "of vision")
	c.cotrain("storage", "list", "models/final", "--project", "vision").want(t, exitDone, "mine")
	c.cotrain("storage", "get", "models/final/mine", "--project", "vision", "-o", "-").want(t, exitDone, "of vision")
	c.cotrain("storage", "get", "models/final/mine", "--project", "audio", "-o", "-").want(t, exitNotFound)
	c.cotrain("storage", "list", "--project", "nowhere").want(t, exitNotFound)
	c.cotrain("storage", "layout", "--project", "vision").want(t, exitDone, "path   "+filepath.Join(dir, "teams/vision"), "mount  /mnt/shared/teams/vision")
	c.cotrain("storage", "layout").want(t, exitDone, "teams/audio/models/final")
	c.env = map[string]string{"COTRAIN_PROJECT": "vision"}
	c.cotrain("storage", "delete", "models/final/mine", "--yes").want(t, exitDone, "deleted")
	c.cotrain("storage", "list", "models/final/mine").want(t, exitNotFound)
}
