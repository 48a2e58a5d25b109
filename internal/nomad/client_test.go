package nomad

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"no address":              {},
		"an address with no host": {Address: "nomad"},
		"an unreadable CA":        {Address: "https://127.0.0.1:4646", CACert: "/no/such/file"},
		"a certificate alone":     {Address: "https://127.0.0.1:4646", ClientCert: "x.pem"},
		"docker with no image":    {Address: "http://127.0.0.1:4646", Job: JobSettings{Driver: "docker"}},
		"a bad variable name":     {Address: "http://127.0.0.1:4646", Job: JobSettings{Env: map[string]string{"A=B": ""}}},
		"a negative time-out":     {Address: "http://127.0.0.1:4646", Job: JobSettings{KillTimeout: -1}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	list := func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, []any{}) }
	t.Run("tells version, name and leader", func(t *testing.T) {
		t.Parallel()
		f, c := newFake(t)
		f.HandleFunc("GET /v1/jobs", list)
		info, err := c.Ping(t.Context())
		if want := (Info{Version: "2.0.6-dev", Name: "n1.global", Leader: "127.0.0.1:4647"}); err != nil || info != want {
			t.Errorf("got %+v, %v; want %+v", info, err, want)
		}
	})
	t.Run("a refused token is ErrDenied", func(t *testing.T) {
		t.Parallel()
		f, c := newFake(t)
		f.HandleFunc("GET /v1/jobs", refuse(403, "Permission denied"))
		if _, err := c.Ping(t.Context()); !errors.Is(err, ErrDenied) || errors.Is(err, fault.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("nobody there is ErrUnavailable", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(http.NotFoundHandler())
		server.Close()
		c, err := New(Config{Address: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Ping(t.Context()); !errors.Is(err, fault.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a cancelled call says so", func(t *testing.T) {
		t.Parallel()
		_, c := newFake(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Ping(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, fault.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAnswersMeanWhatTheirTextSays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code int
		text string
		want error
	}{
		{500, "Payload exceeds maximum size; 17000 > 16384", fault.ErrInvalid},
		{500, "parameterized job not found", ErrParentMissing},
		{500, `Specified job "cotrain-core-x" is stopped`, ErrParentMissing},
		{500, "No cluster leader", fault.ErrUnavailable},
		{500, "rpc error: Permission denied", ErrDenied},
		{403, "ACL token not found", ErrDenied},
		{404, "job not found", fault.ErrNotFound},
		{404, `task "trainer" not started yet. No logs available`, ErrNotStarted},
		{404, "No path to node", fault.ErrUnavailable},
		{500, "EOF", fault.ErrUnavailable},
		{400, "Failed to parse job: unexpected EOF", fault.ErrInvalid},
		{500, "session shutdown", fault.ErrUnavailable},
		{404, `Unknown allocation "1"`, fault.ErrNotFound},
		{429, "", fault.ErrUnavailable},
		{400, "Failed to parse job: x", fault.ErrInvalid},
		{500, "something new", nil},
		{500, "<html>Internal error</html>", fault.ErrUnavailable},
		{404, "<!DOCTYPE html><title>no such site</title>", fault.ErrUnavailable},
	} {
		err := classify("do it", &answer{c.code, c.text})
		for _, kind := range []error{fault.ErrInvalid, fault.ErrNotFound, fault.ErrUnavailable, ErrDenied, ErrParentMissing, ErrNotStarted} {
			if is := errors.Is(err, kind); is != errors.Is(c.want, kind) {
				t.Errorf("%d %q is %v: %v", c.code, c.text, kind, is)
			}
		}
	}
}

func TestTextFromOutsideIsBounded(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	f.HandleFunc("GET /v1/jobs", refuse(500, strings.Repeat("x\x1b[2J\n", 10000)))
	_, err := c.Ping(t.Context())
	if err == nil || len(err.Error()) > 600 || strings.ContainsAny(err.Error(), "\x1b\n") {
		t.Errorf("error of %d bytes: %.200q", len(fmt.Sprint(err)), fmt.Sprint(err))
	}
}

// TestWhatDoesNotSpeakAsNomadDoesIsNotThere is about a proxy, or the wrong server: a run must wait for Nomad, not fail.
func TestWhatDoesNotSpeakAsNomadDoesIsNotThere(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"a page":            func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>log in</html>") },
		"another API":       func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "[1,2]") },
		"an endless answer": func(w http.ResponseWriter, _ *http.Request) { endless(w, maxAnswer) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(h)
			t.Cleanup(server.Close)
			c, err := New(Config{Address: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			if _, err := c.EnsureParent(t.Context(), run.Shape{Nodes: 1}); !errors.Is(err, fault.ErrUnavailable) || errors.Is(err, fault.ErrInvalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestOnlyListsMayBeLong(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	f.HandleFunc("GET /v1/job/{id}", func(w http.ResponseWriter, _ *http.Request) { endless(w, 2*maxAnswer) })
	if _, _, err := c.parentContent(t.Context(), "x"); !errors.Is(err, errAnswerTooLong) {
		t.Errorf("got %v", err)
	}
	for path, want := range map[string]int64{
		"/v1/jobs": maxList, "/v1/nodes": maxList, "/v1/job/a/allocations": maxList, "/v1/status/leader": maxAnswer, "/v1/agent/self": maxAnswer, "/v1/job/a": maxAnswer,
	} {
		if got := maxBody(path); got != want {
			t.Errorf("%s may have %d bytes, want %d", path, got, want)
		}
	}
}

// endless sends one JSON string of at most n bytes, until nobody reads it any more.
func endless(w io.Writer, n int) {
	piece := []byte(strings.Repeat("a", 64<<10))
	_, err := io.WriteString(w, `"`)
	for sent := 0; err == nil && sent <= n; sent += len(piece) {
		_, err = w.Write(piece)
	}
}
