package nomad

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
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

// newFake starts a fake and a client with short waits.
func newFake(t *testing.T) (*fakeNomad, *Client) {
	t.Helper()
	f := &fakeNomad{ServeMux: http.NewServeMux()}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	c, err := New(Config{Address: server.URL, LogStreams: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	// Tests of silence shorten it: a busy machine is silent now and then.
	c.times = times{logSilence: time.Minute, eventSilence: time.Minute, reconnect: 20 * time.Millisecond, busy: time.Millisecond}
	f.HandleFunc("GET /v1/status/leader", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, "127.0.0.1:4647") })
	f.HandleFunc("GET /v1/agent/self", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"member":{"Name":"n1.global"},"config":{"Version":{"Version":"2.0.6","VersionPrerelease":"dev"}}}`)
	})
	return f, c
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
