package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/s3/s3test"
	"github.com/cotrain/cotrain/internal/store"
)

// TestTheArchiveMovesAndIsVerified as an operator does it: with the console running, once more after its end, and back.
func TestTheArchiveMovesAndIsVerified(t *testing.T) {
	t.Parallel()
	c, dir, f := newConsole(t), filledFolder(t), s3test.New(t)
	where := []string{"--data-dir", dir, "--logs-s3-endpoint", f.URL, "--logs-s3-bucket", s3test.Bucket, "--logs-s3-region", "x", "--logs-s3-timeout", "2s"}
	c.env = map[string]string{"COTRAIN_LOGS_S3_ACCESS_KEY": "key", "COTRAIN_LOGS_S3_SECRET_KEY": "hunter2"}
	in := func(args ...string) result { return c.cotrain(append(args, where...)...) }

	in("logs", "migrate").want(t, exitUsage, "--to")
	in("logs", "migrate", "--to", "tape").want(t, exitUsage, "s3", "folder")
	c.env = nil
	c.cotrain("logs", "migrate", "--to", "s3", "--data-dir", dir).want(t, exitUsage, "logs.s3_bucket")
	c.env = map[string]string{"COTRAIN_LOGS_S3_ACCESS_KEY": "key", "COTRAIN_LOGS_S3_SECRET_KEY": "hunter2"}
	c.cotrain(append(append([]string{"logs", "migrate", "--to", "s3"}, where...), "--logs-s3-bucket", "nobodys")...).want(t, exitFailed, "has no bucket nobodys", "logs.s3_bucket")

	in("logs", "verify").want(t, exitFailed, "sealed blocks of logs that are missing: 1", "cotrain logs migrate")
	s, err := store.Open(t.Context(), dir)
	must(t, err)
	in("logs", "migrate", "--to", "s3").want(t, exitDone, "1 were copied now", "A console is running")
	in("logs", "migrate", "--to", "s3", "--delete").want(t, exitRefused, "Stop it")
	must(t, s.Close())
	in("logs", "migrate", "--to", "s3", "--delete").want(t, exitDone, "0 were copied now", "1 were deleted")
	in("logs", "verify").want(t, exitDone, "s3://logs at "+f.URL, "Nothing is wrong")
	c.cotrain("logs", "verify", "--data-dir", dir).want(t, exitUsage) // the keys alone mean nothing
	c.env = nil
	r := c.cotrain("logs", "verify", "--data-dir", dir, "--format", "json").want(t, exitFailed)
	var report struct {
		Archive string
		Found   []struct {
			Kind  string
			Count int
		}
	}
	if err := json.Unmarshal([]byte(r.out), &report); err != nil || report.Archive != filepath.Join(dir, "logs") || len(report.Found) != 1 || report.Found[0].Kind != "log_missing" {
		t.Errorf("%v: %s", err, r.out)
	}

	c.env = map[string]string{"COTRAIN_LOGS_S3_ACCESS_KEY": "key", "COTRAIN_LOGS_S3_SECRET_KEY": "hunter2"}
	in("logs", "migrate", "--to", "folder").want(t, exitDone, "1 were copied now")
	c.env = nil
	c.cotrain("logs", "verify", "--data-dir", dir).want(t, exitDone)
	files, err := filepath.Glob(filepath.Join(dir, "logs", "*", "*.zst"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	data, err := os.ReadFile(files[0])
	must(t, err)
	data[len(data)/2] ^= 1
	must(t, os.WriteFile(files[0], data, 0o600))
	c.cotrain("logs", "verify", "--data-dir", dir).want(t, exitFailed, "that are not what they should be: 1", "checksum")

	f.Set(s3test.Refuse(403, "InvalidAccessKeyId"))
	c.env = map[string]string{"COTRAIN_LOGS_S3_ACCESS_KEY": "key", "COTRAIN_LOGS_S3_SECRET_KEY": "hunter2"}
	if r := in("logs", "verify").want(t, exitFailed, "logs.s3_access_key"); strings.Contains(r.out+r.errOut, "hunter2") {
		t.Errorf("the secret key is told: %s %s", r.out, r.errOut)
	}
	if code, errs := startsNot(c, where); code != exitFailed || !strings.Contains(errs, "logs.s3_access_key") {
		t.Errorf("a console starts with a key that is refused: %d, %s", code, errs)
	}
}

// startsNot starts a console that cannot work.
func startsNot(c *console, where []string) (int, string) {
	r := c.cotrain(append([]string{"server", "--dev", "--listen", "127.0.0.1:0"}, where...)...)
	return r.code, r.errOut
}
