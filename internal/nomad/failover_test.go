package nomad

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// twoServers are two fakes over TCP, and a client of both that prefers the first. kill ends the first.
func twoServers(t *testing.T) (a, b *fakeNomad, c *Client, kill func()) {
	t.Helper()
	var fakes []*fakeNomad
	var servers []*httptest.Server
	for range 2 {
		f := &fakeNomad{ServeMux: http.NewServeMux()}
		f.HandleFunc("GET /v1/status/leader", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, "127.0.0.1:4647") })
		f.HandleFunc("GET /v1/agent/self", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, map[string]any{}) })
		s := httptest.NewServer(f)
		s.Config.ErrorLog = nil
		t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
		fakes, servers = append(fakes, f), append(servers, s)
	}
	c, err := New(Config{Address: servers[0].URL + ", " + servers[1].URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return fakes[0], fakes[1], c, func() { _ = servers[0].Listener.Close(); servers[0].CloseClientConnections() }
}

// dies takes a request, does something, and fails before it answers.
func dies(do http.HandlerFunc) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		do(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
}

// TestADispatchWhoseAnswerIsLostStartsOneChild has the first server fail with the call under way, and the second say first what
// a call says that lost the race: a child that was never stored.
func TestADispatchWhoseAnswerIsLostStartsOneChild(t *testing.T) {
	t.Parallel()
	a, b, c, _ := twoServers(t)
	var mu sync.Mutex
	var tokens []string
	note := func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		tokens = append(tokens, r.URL.Query().Get("idempotency_token"))
	}
	a.HandleFunc("PUT /v1/job/{id}/dispatch", dies(func(_ http.ResponseWriter, r *http.Request) { note(r) }))
	b.HandleFunc("PUT /v1/job/{id}/dispatch", func(w http.ResponseWriter, r *http.Request) {
		note(r)
		if b.count("PUT") == 1 {
			answerJSON(w, map[string]any{"DispatchedJobID": "cotrain-core-x/dispatch-ghost", "EvalID": "ghost"})
			return
		}
		answerJSON(w, map[string]any{"DispatchedJobID": "cotrain-core-x/dispatch-1"})
	})
	b.HandleFunc("GET /v1/evaluation/ghost", refuse(404, "eval not found"))
	child, err := c.Dispatch(t.Context(), Dispatch{Parent: "cotrain-core-x", Token: "r-1/1", First: true, RunID: "r-0000000001", Attempt: 1, Payload: []byte("x = 1")})
	if err != nil || child != "cotrain-core-x/dispatch-1" {
		t.Errorf("got %q, %v", child, err)
	}
	if got := strings.Join(tokens, " "); got != "r-1/1 r-1/1 r-1/1" {
		t.Errorf("the tokens were %s", got)
	}
}

func TestARegistrationWhoseAnswerIsLostIsLookedForFirst(t *testing.T) {
	t.Parallel()
	a, b, c, _ := twoServers(t)
	p := &fakeParents{}
	p.serve(b)
	a.HandleFunc("PUT /v1/jobs", dies(p.register)) // what the servers know is one
	a.HandleFunc("/", b.ServeMux.ServeHTTP)
	if _, err := c.EnsureParent(t.Context(), run.Shape{Nodes: 1}); err != nil {
		t.Fatal(err)
	}
	if n := b.count("PUT /v1/jobs") - b.count("PUT /v1/jobs/parse"); n != 0 || len(p.jobs) != 1 {
		t.Errorf("it was registered %d times more, and there are %d", n, len(p.jobs))
	}
}

func TestEventsAndLogsMoveWithTheCalls(t *testing.T) {
	t.Parallel()
	a, b, c, kill := twoServers(t)
	stream := func(event string, after func()) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(w, event)
			w.(http.Flusher).Flush()
			after()
			<-r.Context().Done()
		}
	}
	serveEvents(a, stream(`{"Index":8,"Events":[{"Topic":"Node","Key":"n1"}]}`, func() {}))
	serveEvents(b, stream(`{"Index":9,"Events":[{"Topic":"Node","Key":"n2"}]}`, func() {}))
	(&fakeLog{files: []string{"one"}}).serve(a)
	(&fakeLog{files: []string{"one, two"}}).serve(b)

	text, _, end, err := read(t.Context(), c, Cursor{})
	if text != "one" || err != nil {
		t.Fatalf("read %q, %v", text, err)
	}
	killed := sync.OnceFunc(kill)
	hints := watchUntil(t, c, func(h []Hint) bool {
		if h[len(h)-1].NodeID == "n1" {
			killed()
		}
		return h[len(h)-1].NodeID == "n2"
	})
	if n := count(hints, func(h Hint) bool { return h.Resync }); n != 2 {
		t.Errorf("the hints are %+v", hints)
	}
	if text, _, _, err := read(t.Context(), c, end); text != ", two" || err != nil {
		t.Errorf("went on with %q, %v", text, err)
	}
	if got := c.Servers(); got[0].InUse || got[0].Problem == "" || !got[1].InUse {
		t.Errorf("the servers are %+v", got)
	}
}

func TestWhatIsWrongWithEveryServerIsSaid(t *testing.T) {
	t.Parallel()
	a, b, c, kill := twoServers(t)
	kill()
	b.HandleFunc("/", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, err := c.Nodes(context.WithoutCancel(t.Context()))
	if !errors.Is(err, fault.ErrNomadUnreachable) {
		t.Fatal(err)
	}
	said := fault.Of(err).Text()
	for _, want := range []string{"No server of Nomad works: http://127.0.0.1:", "connection refused; http://127.0.0.1:", ": EOF. Check", "NOMAD_ADDR"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in %q", want, said)
		}
	}
	if a.count("GET") != 0 {
		t.Error("the dead one was asked")
	}
}

func TestASocketIsAServerLikeAnother(t *testing.T) {
	t.Parallel()
	folder, err := os.MkdirTemp("", "nomad") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	path := filepath.Join(folder, "nomad.sock")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, []map[string]string{{"ID": "n1"}}) }))
	_ = s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	c, err := New(Config{Address: "http://127.0.0.1:1, unix://" + path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if nodes, err := c.Nodes(t.Context()); err != nil || len(nodes) != 1 || !c.Servers()[1].InUse {
		t.Errorf("got %v, %v; %+v", nodes, err, c.Servers())
	}
}
