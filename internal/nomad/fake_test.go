package nomad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// fakeNomad answers what a test gives it, and what every client asks first.
type fakeNomad struct {
	*http.ServeMux
	mu    sync.Mutex
	calls []string
}

// count is how many calls began with prefix, as "GET /v1/jobs".
func (f *fakeNomad) count(prefix string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

func (f *fakeNomad) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.calls = append(f.calls, r.Method+" "+r.URL.EscapedPath())
	f.mu.Unlock()
	f.ServeMux.ServeHTTP(w, r)
}

// pipes is a network in memory: connections over it may be in a synctest bubble, where waits take no time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// newFake starts a fake and a client of it.
func newFake(t *testing.T) (*fakeNomad, *Client) {
	t.Helper()
	f := &fakeNomad{ServeMux: http.NewServeMux()}
	c := clientOf(t, f)
	f.HandleFunc("GET /v1/status/leader", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, "127.0.0.1:4647") })
	f.HandleFunc("GET /v1/agent/self", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"member":{"Name":"n1.global"},"config":{"Version":{"Version":"2.0.6","VersionPrerelease":"dev"}}}`)
	})
	return f, c
}

// clientOf serves a fake and returns a client of it.
func clientOf(t *testing.T, f *fakeNomad) *Client {
	t.Helper()
	network := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: f}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(network); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	transport := &http.Transport{DialContext: network.dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
	c, err := New(Config{HTTPClient: &http.Client{Transport: transport}, LogStreams: 4})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("X-Nomad-Index", "7")
	_ = json.NewEncoder(w).Encode(v) // the client sees what is missing
}

func refuse(code int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		fmt.Fprint(w, text)
	}
}
