package stream_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// people is who may do what, for guard and log-in.
type people struct {
	mu      sync.Mutex
	now     access.Identity
	refused map[string]error // by the subject's ID
	changed chan struct{}
}

func (p *people) Allow(_ context.Context, _ access.Right, of access.Subject) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused[of.ID]
}

func (p *people) Changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

func (p *people) Still(context.Context) (access.Identity, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now.User == "" {
		return p.now, fault.ErrSignedOut
	}
	return p.now, nil
}

// change changes who may do what.
func (p *people) change(now access.Identity, refused map[string]error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now, p.refused = now, refused
	close(p.changed)
	p.changed = make(chan struct{})
}

// site serves a stream; h2 is HTTP/2.
type site struct {
	*testing.T
	hub    *feed.Hub
	people *people
	stream *stream.Server
	url    string
	client *http.Client
}

func ann(role access.Role) access.Identity {
	return access.Identity{User: "ann", Name: "ann", Roles: map[string]access.Role{"vision": role}}
}

func newSite(t *testing.T, h2 bool, limits stream.Limits) *site {
	t.Helper()
	s := &site{T: t, hub: feed.NewHub(time.Now), people: &people{now: ann(access.Admin), changed: make(chan struct{})}}
	s.stream = stream.New(stream.Options{Feed: s.hub, Guard: s.people, Auth: s.people, Limits: limits, Logger: slog.New(slog.DiscardHandler)})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := s.people.Still(r.Context()) // nobody, then
		since, err := stream.ParsePositions("Last-Event-ID", r.Header.Get("Last-Event-ID"))
		topics := stream.Positions{}
		if err == nil {
			topics, err = stream.Topics("topics", strings.Split(r.URL.Query().Get("topics"), ","), since)
		}
		if err == nil {
			err = s.stream.Serve(w, r.WithContext(access.With(r.Context(), who)), topics)
		}
		if err != nil {
			http.Error(w, err.Error(), fault.Of(err).Kind.Status())
		}
	}))
	if server.EnableHTTP2 = h2; h2 {
		server.StartTLS()
	} else {
		server.Start()
	}
	s.url, s.client = server.URL, server.Client()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.stream.Close(ctx); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	return s
}

// reader is an independent reader of event streams.
type reader struct {
	*testing.T
	body  io.ReadCloser
	lines *bufio.Scanner
	proto string
	id    string
}

type event struct {
	kind string
	id   string
	data struct {
		Topic string
		Seq   int64
		Type  string
		Data  json.RawMessage
	}
}

func (s *site) open(topics, last string) (*reader, int) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	s.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"?topics="+topics, nil)
	if err != nil {
		s.Fatal(err)
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := s.client.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = res.Body.Close() })
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	return &reader{T: s.T, body: res.Body, lines: lines, proto: res.Proto, id: last}, res.StatusCode
}

func (s *site) follow(topics, last string) *reader {
	s.Helper()
	r, status := s.open(topics, last)
	if status != http.StatusOK {
		s.Fatalf("%s: %d", topics, status)
	}
	if e, err := r.event(); err != nil || e.kind != stream.SubscribedType {
		s.Fatalf("%+v, %v before the confirmation", e, err)
	}
	return r
}

// event reads the next one, or why the stream ended.
func (r *reader) event() (e event, err error) {
	data := ""
	for r.lines.Scan() {
		field, value, _ := strings.Cut(r.lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			r.id = value
		case "event":
			e.kind = value
		case "data":
			data += value
		case "":
			if r.lines.Text() != "" || data == "" { // a comment, or an ID alone
				continue
			}
			e.id = r.id
			return e, json.Unmarshal([]byte(data), &e.data)
		}
	}
	return e, errors.Join(io.EOF, r.lines.Err())
}

func (r *reader) next() event {
	r.Helper()
	e, err := r.event()
	if err != nil {
		r.Fatal(err)
	}
	return e
}

func TestEventsComeOverBothVersionsOfHTTP(t *testing.T) {
	t.Parallel()
	for proto, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, h2, stream.Limits{})
			topic := feed.RunTopic("r-0000000001")
			r := s.follow(topic+",system", "")
			if r.proto != proto {
				t.Fatalf("the answer is %s", r.proto)
			}
			system := s.hub.Seq(feed.SystemTopic)
			for i := range 3 {
				s.hub.Publish(topic, feed.LogType, feed.Log{Skipped: i})
				want := fmt.Sprintf("%s=%d,system=%d", topic, s.hub.Seq(topic), system)
				if e := r.next(); e.kind != feed.LogType || e.id != want || e.data.Type != e.kind || e.data.Topic != topic || e.data.Seq != s.hub.Seq(topic) {
					t.Errorf("got %+v with the ID %q, want %q", e, e.id, want)
				}
			}
			s.stream.End()
			if _, err := r.event(); !errors.Is(err, io.EOF) || r.lines.Err() != nil {
				t.Errorf("when the console stops: %v, want the end of the answer", err)
			}
		})
	}
}

func TestAStreamThatIsCutAHundredTimesMissesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, false, stream.Limits{})
	topic := feed.RunTopic("r-0000000001")
	const messages, cuts = 3000, 100
	r := s.follow(topic, "")
	ahead := make(chan struct{}, 300) // fewer than the console keeps
	go func() {                       // the test reads all that it publishes
		for i := range messages {
			ahead <- struct{}{}
			s.hub.Publish(topic, feed.LogType, feed.Log{Skipped: i})
		}
	}()
	cut := 0
	for want := range messages {
		e := r.next()
		var log feed.Log
		if err := json.Unmarshal(e.data.Data, &log); err != nil || e.kind != feed.LogType || log.Skipped != want {
			t.Fatalf("%+v, %v, want message %d, after %d cuts", e, err, want, cut)
		}
		<-ahead
		if cut < cuts && (want+1)%(messages/cuts) == 0 {
			cut++
			_ = r.body.Close()
			r = s.follow(topic, r.id)
		}
	}
	if cut < cuts {
		t.Errorf("cut only %d times", cut)
	}
}

func TestWhatTheConsoleForgotIsAGap(t *testing.T) {
	t.Parallel()
	s := newSite(t, false, stream.Limits{})
	topic := feed.RunTopic("r-0000000001")
	s.hub.Publish(topic, feed.LogType, feed.Log{})
	r := s.follow(topic, topic+"=5") // of an earlier process
	if e := r.next(); e.kind != feed.Gap || e.id != fmt.Sprintf("%s=%d", topic, s.hub.Seq(topic)) {
		t.Errorf("got %+v, want a gap", e)
	}
	s.hub.Publish(topic, feed.LogType, feed.Log{Skipped: 1})
	if e := r.next(); e.kind != feed.LogType {
		t.Errorf("after the gap: %+v", e)
	}
}

func TestAStreamOfManyRunsHasTheNewestStateOfEach(t *testing.T) {
	t.Parallel()
	s := newSite(t, false, stream.Limits{})
	r := s.follow(feed.RunsTopic, "")
	for i := range int64(3) {
		for _, id := range []run.ID{"r-0000000001", "r-0000000002"} {
			s.hub.PublishRun(run.Run{ID: id, Project: "vision", Revision: i, Attempt: int(i)})
		}
	}
	s.hub.PublishRun(run.Run{ID: "r-0000000003", Project: "audio"}) // which ann may not see
	s.hub.PublishDeleted(run.Run{ID: "r-0000000001", Project: "vision"})
	newest := map[run.ID]int{}
	last := int64(0)
	for {
		e := r.next()
		if e.data.Seq <= last {
			t.Errorf("sequence %d after %d", e.data.Seq, last)
		}
		last = e.data.Seq
		if e.kind == feed.Deleted {
			break
		}
		var state run.Run
		if err := json.Unmarshal(e.data.Data, &state); err != nil || state.Project != "vision" {
			t.Fatalf("%s, %v", e.data.Data, err)
		}
		newest[state.ID] = state.Attempt
	}
	if newest["r-0000000001"] != 2 || newest["r-0000000002"] != 2 {
		t.Errorf("before the deletion came %v, want the newest", newest)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	s := newSite(t, false, stream.Limits{Connections: 3, PerUser: 2})
	first := s.follow("runs", "")
	s.follow("runs", "")
	if _, status := s.open("runs", ""); status != 503 {
		t.Errorf("a third of one user: %d", status)
	}
	s.people.change(access.Identity{User: "bob"}, nil)
	third := s.follow("runs", "")
	if _, status := s.open("runs", ""); status != 503 {
		t.Errorf("a fourth in all: %d", status)
	}
	_ = third.body.Close()
	_ = first.body.Close()
	for status := 0; status != http.StatusOK; { // once the console has noticed
		_, status = s.open("runs", "")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.stream.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if _, status := s.open("runs", ""); status != 503 {
		t.Errorf("after the end: %d", status)
	}
	if s.hub.HasViewers(feed.RunsTopic) {
		t.Error("a subscription is left")
	}
}

func FuzzPositions(f *testing.F) {
	f.Add("runs=1,run:r-0123456789=2")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := stream.ParsePositions("id", text)
		if err != nil {
			return
		}
		again, err := stream.ParsePositions("id", p.String())
		if err != nil || again.String() != p.String() {
			t.Errorf("%q is read as %v, and that as %v, %v", text, p, again, err)
		}
	})
}
