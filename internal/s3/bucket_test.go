package s3_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/certfile"
	"github.com/cotrain/cotrain/internal/certfile/certtest"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/s3"
	"github.com/cotrain/cotrain/internal/s3/s3test"
	"github.com/cotrain/cotrain/internal/store/blobtest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func config(f *s3test.Store) s3.Config {
	return s3.Config{Endpoint: f.URL, Region: "eu-test-1", Bucket: s3test.Bucket, Prefix: "cotrain/logs", Addressing: "path", AccessKey: "key", SecretKey: "secret", Timeout: 10 * time.Second}
}

func open(t *testing.T, cfg s3.Config) *s3.Bucket {
	t.Helper()
	b, err := s3.New(cfg)
	must(t, err)
	t.Cleanup(func() { must(t, b.Close()) })
	return b
}

func TestABucketIsAnArchive(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "cotrain/logs"} {
		f := s3test.New(t)
		cfg := config(f)
		cfg.Prefix = prefix
		b := open(t, cfg)
		must(t, b.Check(t.Context()))
		blobtest.Test(t, b)
	}
}

// TestARealStore runs against the one that COTRAIN_TEST_S3 names, whose bucket must be empty.
func TestARealStore(t *testing.T) {
	t.Parallel()
	endpoint := os.Getenv("COTRAIN_TEST_S3")
	if endpoint == "" {
		t.Skip("set COTRAIN_TEST_S3 to the endpoint of an S3-compatible store, and AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and COTRAIN_TEST_S3_BUCKET")
	}
	cfg := s3.Config{Endpoint: endpoint, Bucket: os.Getenv("COTRAIN_TEST_S3_BUCKET"), Prefix: "suite", Addressing: "path", AccessKey: os.Getenv("AWS_ACCESS_KEY_ID"),
		SecretKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), Timeout: 30 * time.Second}
	b := open(t, cfg)
	must(t, b.Check(t.Context()))
	blobtest.Test(t, b)
	for name, c := range map[string]struct {
		change func(*s3.Config)
		says   string
	}{
		"another bucket": {func(c *s3.Config) { c.Bucket = "no-such-bucket-here" }, "logs.s3_bucket"},
		"another key":    {func(c *s3.Config) { c.AccessKey = "NOBODY" }, "logs.s3_access_key"},
		"another secret": {func(c *s3.Config) { c.SecretKey = "wrong" }, "logs.s3_secret_key"},
	} {
		wrong := cfg
		c.change(&wrong)
		if err := open(t, wrong).Check(t.Context()); !s3.Refused(err) || !strings.Contains(fault.Of(err).Text(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWhatIsWrongNamesItsSetting has a store give each of the answers, or none.
func TestWhatIsWrongNamesItsSetting(t *testing.T) {
	t.Parallel()
	f := s3test.New(t)
	for name, c := range map[string]struct {
		change  func(*s3.Config)
		says    []string
		refused bool
	}{
		"no bucket":  {func(c *s3.Config) { c.Bucket = "nobodys" }, []string{"has no bucket nobodys", "logs.s3_bucket"}, true},
		"nobody":     {func(c *s3.Config) { c.Endpoint = "http://127.0.0.1:1" }, []string{"does not answer", "refused", "logs.s3_endpoint"}, false},
		"plain HTTP": {func(c *s3.Config) { c.Endpoint = "https://" + strings.TrimPrefix(f.URL, "http://") }, []string{"speaks plain HTTP", "logs.s3_endpoint"}, true},
	} {
		cfg := config(f)
		c.change(&cfg)
		told(t, name, open(t, cfg), c.refused, c.says...)
	}
	for code, c := range map[string]struct {
		status  int
		says    string
		refused bool
	}{
		"InvalidAccessKeyId": {403, "logs.s3_access_key", true}, "SignatureDoesNotMatch": {403, "logs.s3_secret_key", true}, "AccessDenied": {403, "list the bucket", true},
		"AuthorizationHeaderMalformed": {400, "logs.s3_region", true}, "RequestTimeTooSkewed": {403, "clock", false}, "QuotaExceeded": {403, "Make room", false},
		"XAdminUserNotFound": {404, "logs.s3_access_key", true}, "InternalError": {500, "answers 500", false}, "SlowDown": {503, "answers 503", false}, "Teapot": {418, "S3-compatible", false},
	} {
		f := s3test.New(t)
		f.Set(s3test.Refuse(c.status, code))
		told(t, code, open(t, config(f)), c.refused, c.says)
	}
}

// told checks what a store's check says.
func told(t *testing.T, name string, b *s3.Bucket, refused bool, says ...string) {
	t.Helper()
	err := b.Check(t.Context())
	if !errors.Is(err, fault.ErrArchiveUnavailable) || s3.Refused(err) != refused {
		t.Errorf("%s: refused %v, %v", name, s3.Refused(err), err)
	}
	for _, s := range says {
		if !strings.Contains(fault.Of(err).Text(), s) {
			t.Errorf("%s: %q does not say %q", name, fault.Of(err).Text(), s)
		}
	}
}

func TestTLSIsCheckedBothWays(t *testing.T) {
	t.Parallel()
	authority, dir := certtest.New(t), t.TempDir()
	cert, key := authority.Issue(time.Now().Add(time.Hour), "127.0.0.1").Write(t, dir)
	ca := filepath.Join(dir, "ca.pem")
	must(t, os.WriteFile(ca, authority.PEM, 0o600))
	files, err := certfile.Open(certfile.Paths{Cert: cert, Key: key, ClientCA: ca}, "", time.Now)
	must(t, err)
	f := s3test.Start(t, func(s *httptest.Server) {
		s.TLS = files.Config()
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
	})
	cfg := config(f)
	told(t, "an authority that is not known", open(t, cfg), true, "is not accepted", "logs.s3_ca_cert")
	cfg.CACert = ca
	told(t, "no certificate of the client", open(t, cfg), true, "logs.s3_client_cert")
	cfg.ClientCert, cfg.ClientKey = cert, key
	b := open(t, cfg)
	must(t, b.Check(t.Context()))
	blobtest.Test(t, b)
	cfg.CACert = filepath.Join(dir, "no.pem")
	if _, err := s3.New(cfg); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("an authority that cannot be read: %v", err)
	}
}

func TestAFailureOrTwoIsNotNoticed(t *testing.T) {
	t.Parallel()
	f := s3test.New(t)
	b := open(t, config(f))
	for name, bad := range map[string]s3test.Between{
		"500":      s3test.Refuse(500, "InternalError"),
		"503":      s3test.Refuse(503, "SlowDown"),
		"cut":      s3test.Cut,
		"half":     s3test.Halve,
		"too slow": s3test.Hang,
	} {
		if name == "too slow" {
			cfg := config(f)
			cfg.Timeout = 4 * time.Second // of which a try has half
			b = open(t, cfg)
		}
		for _, method := range []string{http.MethodPut, http.MethodGet} {
			if name == "half" && method == http.MethodPut {
				continue
			}
			var failed atomic.Int64
			f.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if r.Method == method && failed.Add(1) == 1 {
					bad(w, r, next)
					return
				}
				next.ServeHTTP(w, r)
			})
			must(t, b.Put(t.Context(), "r-1/1", []byte(name)))
			if got, err := b.Get(t.Context(), "r-1/1"); err != nil || string(got) != name || failed.Load() < 2 {
				t.Errorf("%s of %s: %q, %v after %d", name, method, got, err, failed.Load())
			}
		}
	}
}

func TestWhatGoesOnFailingIsGivenUp(t *testing.T) {
	t.Parallel()
	f := s3test.New(t)
	cfg := config(f)
	b := open(t, cfg)
	must(t, b.Put(t.Context(), "r-1/1", []byte("whole")))
	f.Set(s3test.Halve)
	if got, err := b.Get(t.Context(), "r-1/1"); !errors.Is(err, fault.ErrArchiveUnavailable) || errors.Is(err, fault.ErrNotFound) {
		t.Errorf("half an object: %q, %v", got, err)
	}
	f.Set(s3test.Hang)
	cfg.Timeout = time.Second
	b = open(t, cfg)
	for what, call := range map[string]func() error{
		"put":    func() error { return b.Put(t.Context(), "r-1/1", []byte("x")) },
		"get":    func() error { _, err := b.Get(t.Context(), "r-1/1"); return err },
		"delete": func() error { return b.Delete(t.Context(), "r-1/1") },
		"list":   func() error { return b.Each(t.Context(), "", func(string, int64, time.Time) error { return nil }) },
	} {
		if err := call(); !errors.Is(err, fault.ErrArchiveUnavailable) {
			t.Errorf("%s of a store that s3test.Hang: %v", what, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Put(ctx, "r-1/1", nil); !errors.Is(err, context.Canceled) || errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("after the end of its context: %v", err)
	}
}

func TestKeysAreReplacedWhileItWorks(t *testing.T) {
	t.Parallel()
	f := s3test.New(t)
	b := open(t, config(f))
	must(t, b.Check(t.Context()))
	f.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if !strings.Contains(r.Header.Get("Authorization"), "Credential=new/") {
			s3test.Refuse(403, "InvalidAccessKeyId")(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	})
	told(t, "a revoked key", b, true, "logs.s3_access_key")
	b.SetKeys("new", "secret")
	must(t, b.Check(t.Context()))
}
