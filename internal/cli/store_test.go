package cli

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/pgtest"
	"github.com/cotrain/cotrain/internal/store/storetest"
)

// filledFolder is the data folder of a console that has stopped.
func filledFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), dir)
	if err == nil {
		err = storetest.Fill(t.Context(), s, 1)
	}
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestAConsoleMovesToPostgreSQLAndBack also by the names that people give.
func TestAConsoleMovesToPostgreSQLAndBack(t *testing.T) {
	t.Parallel()
	c, dir, back, url := newConsole(t), filledFolder(t), filepath.Join(t.TempDir(), "new", "data"), pgtest.URL(t)
	r := c.cotrain("store", "copy", "--from", dir, "--to", url, "--data-dir", dir).want(t, exitDone, "is now the same as", "compared by their checksums")
	for _, word := range []string{"compared ", " rows of runs", " rows of point_chunks"} {
		if !strings.Contains(r.errOut, word) {
			t.Errorf("%q is not told: %s", word, r.errOut)
		}
	}
	c.env = map[string]string{"COTRAIN_DATABASE_URL": url, "COTRAIN_DATA_DIR": dir}
	c.cotrain("store", "check").want(t, exitDone, "Nothing is wrong", "2 runs")
	r = c.cotrain("store", "copy", "--to", "sqlite://"+back+"/cotrain.db", "--format", "json").want(t, exitDone)
	var copied struct {
		To     string
		Tables []struct {
			Name, SHA256 string
			Rows         int
		}
		Logs struct{ Blocks, Copied int }
	}
	if err := json.Unmarshal([]byte(r.out), &copied); err != nil || len(copied.Tables) < 18 || copied.Tables[0].SHA256 == "" || copied.Logs.Copied != 1 || !strings.HasSuffix(copied.To, "/new/data/cotrain.db") {
		t.Errorf("%v: %s", err, r.out)
	}
	c.env = nil
	c.cotrain("store", "check", "--data-dir", back).want(t, exitDone, "Nothing is wrong")
	c.cotrain("store", "copy", "--from", dir, "--to", url, "--data-dir", dir).want(t, exitRefused, "not empty")
}

func TestACopyWithoutSidesIsBadUsage(t *testing.T) {
	t.Parallel()
	c, dir := newConsole(t), filledFolder(t)
	c.cotrain("store", "copy").want(t, exitUsage, "both missing")
	c.cotrain("store", "copy", "--from", dir).want(t, exitUsage, "COTRAIN_DATABASE_URL")
	c.cotrain("store", "copy", "--from", dir, "--to", t.TempDir()).want(t, exitUsage, "VACUUM INTO")
	c.cotrain("store", "copy", "--from", "postgres://a/b", "--to", "postgresql://c/d").want(t, exitUsage, "pg_dump")
	c.cotrain("store", "copy", "--from", filepath.Join(dir, "no"), "--to", "postgres://a/b").want(t, exitNotFound, "no data folder")
	c.cotrain("store", "check", "--data-dir", filepath.Join(dir, "no")).want(t, exitNotFound, "no data folder")
	c.cotrain("store", "check", "--data-dir", t.TempDir()).want(t, exitNotFound, "There is no database")
	r := c.cotrain("store", "copy", "--from", dir, "--to", "postgres://me:s3cret@127.0.0.1:1/b").want(t, exitUsage, "password")
	if strings.Contains(r.out+r.errOut, "s3cret") {
		t.Errorf("the password is shown: %s", r.errOut)
	}
	c.env = map[string]string{"COTRAIN_DATABASE_PASSWORD": "s3cret"}
	r = c.cotrain("store", "copy", "--from", dir, "--to", "postgres://me@127.0.0.1:1/b?sslmode=disable").want(t, exitFailed, "refused")
	if strings.Contains(r.out+r.errOut, "s3cret") {
		t.Errorf("the password is shown: %s", r.errOut)
	}
}

func TestACheckFailsWithFindingsUntilTheyAreRepaired(t *testing.T) {
	t.Parallel()
	c, dir := newConsole(t), filledFolder(t)
	files, err := filepath.Glob(filepath.Join(dir, "logs", "*", "*.zst"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	if err := os.Rename(files[0], files[0]+".away"); err != nil {
		t.Fatal(err)
	}
	c.cotrain("store", "check", "--data-dir", dir).want(t, exitFailed, "sealed blocks of logs that are missing: 1", "Restore them")
	r := c.cotrain("store", "check", "--data-dir", dir, "--format", "json", "--repair").want(t, exitFailed)
	var report struct {
		Found []struct {
			Kind            string
			Count, Repaired int
		}
	}
	if err := json.Unmarshal([]byte(r.out), &report); err != nil || len(report.Found) != 1 || report.Found[0].Kind != "log_missing" || report.Found[0].Count != 1 {
		t.Errorf("%v: %s", err, r.out)
	}
	s, err := store.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	c.cotrain("store", "check", "--data-dir", dir, "--repair").want(t, exitRefused, "Stop it")
	c.cotrain("store", "check", "--data-dir", dir).want(t, exitFailed)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(files[0]+".away", files[0]); err != nil {
		t.Fatal(err)
	}
	stray, old := filepath.Join(filepath.Dir(files[0]), "stray.zst"), time.Now().Add(-time.Hour)
	if err := errors.Join(os.WriteFile(stray, []byte("x"), 0o600), os.Chtimes(stray, old, old)); err != nil {
		t.Fatal(err)
	}
	c.cotrain("store", "check", "--data-dir", dir).want(t, exitDone, "Nothing is wrong", "Note: blobs in the archive of logs that no row names: 1")
}
