package live

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
)

// noRuns are the runs of tests that need none.
type noRuns struct{ Runs }

func TestSocketsBeyondTheBoundAreRefused(t *testing.T) {
	t.Parallel()
	s := New(Options{Runs: noRuns{}, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	open := func() error {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ws", nil)
		r.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}
		return s.Connect(httptest.NewRecorder(), r)
	}
	for range maxSockets {
		s.slots <- struct{}{}
	}
	if err := open(); !errors.Is(err, fault.ErrTooManyPages) {
		t.Errorf("one too many: %v", err)
	}
	<-s.slots
	if err := open(); errors.Is(err, fault.ErrTooManyPages) || !errors.Is(err, fault.ErrBadRequest) { // a recorder is no connection
		t.Errorf("with room: %v", err)
	}
}

func TestAFragmentIsRenderedOnceForAllViewers(t *testing.T) {
	t.Parallel()
	s := New(Options{Runs: noRuns{}, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	body, err := json.Marshal(run.Run{ID: "r-0000000001", Name: "first try", State: run.Running})
	if err != nil {
		t.Fatal(err)
	}
	topic := feed.RunTopic("r-0000000001")
	m := feed.Message{Topic: topic, Seq: 9, Type: feed.State, Data: body}
	first, err := s.fragment(t.Context(), m)
	if err != nil || first == "" {
		t.Fatalf("%q, %v", first, err)
	}
	m.Data = json.RawMessage(`not looked at`)
	if again, err := s.fragment(t.Context(), m); err != nil || again != first {
		t.Errorf("rendered again: %v", err)
	}
	for i := range int64(fragmentsKept) {
		s.fragments.put(fragmentKey{"x", "y", "", false, i}, "z")
	}
	if _, ok := s.fragments.get(fragmentKey{topic, feed.State, "", false, 9}); ok || len(s.fragments.html) > fragmentsKept {
		t.Errorf("the cache has %d entries, the oldest among them: %v", len(s.fragments.html), ok)
	}
	if _, err := s.fragment(t.Context(), feed.Message{Topic: topic, Seq: 10, Type: feed.State, Data: json.RawMessage(`garbage`)}); err == nil {
		t.Error("garbage was rendered")
	}
}
