package app

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/s3/s3test"
)

func inBucket(f *s3test.Store) func(*config.Config) {
	return func(c *config.Config) {
		c.Logs = config.Logs{S3Bucket: s3test.Bucket, S3Endpoint: f.URL, S3Region: "x", S3Addressing: "path", S3AccessKey: "key", S3SecretKey: "hunter2", S3Timeout: 20 * time.Second}
	}
}

// TestAConsoleStartsWhileItsArchiveIsAway and says so until it is back.
func TestAConsoleStartsWhileItsArchiveIsAway(t *testing.T) {
	t.Parallel()
	f := s3test.New(t)
	f.Set(s3test.Refuse(503, "SlowDown"))
	a, log := newApp(t, testConfig(t, inBucket(f)))
	if got := a.health.system().Message; !strings.Contains(got, "answers 503") || !strings.Contains(got, "logs wait in the database") {
		t.Errorf("told %q", got)
	}
	a.checkArchive(t.Context())
	if a.health.archiveOK() {
		t.Error("it is taken to be back")
	}
	f.Set(nil)
	a.checkArchive(t.Context())
	if got := a.health.system().Message; got != "" {
		t.Errorf("after its return %q", got)
	}
	if strings.Contains(log.String(), "hunter2") {
		t.Error("the secret key is logged")
	}
}

// TestAnArchiveThatRefusesKeepsAConsoleFromStarting and names the setting.
func TestAnArchiveThatRefusesKeepsAConsoleFromStarting(t *testing.T) {
	t.Parallel()
	for code, says := range map[string]string{"InvalidAccessKeyId": "logs.s3_access_key", "NoSuchBucket": "logs.s3_bucket"} {
		f := s3test.New(t)
		f.Set(s3test.Refuse(403, code))
		_, err := New(t.Context(), testConfig(t, inBucket(f)), Options{Logger: slog.New(slog.DiscardHandler), Executable: "/bin/false"})
		if !errors.Is(err, fault.ErrArchiveUnavailable) || !strings.Contains(fault.Of(err).Text(), says) {
			t.Errorf("%s: %v", code, err)
		}
	}
}
