package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

func newHub() *Hub {
	return NewHub(func() time.Time { return time.UnixMilli(1) })
}

func next(t *testing.T, s *Subscription) []Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ms, err := s.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return ms
}

func TestAViewerThatComesBackMissesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	h := newHub()
	start := h.Seq("a")
	for i := range 10 {
		h.Publish("a", EventType, i)
	}
	s := h.Subscribe(map[string]int64{"a": start + 4})
	defer s.Close()
	h.Publish("a", EventType, 10)
	var got []string
	for _, m := range next(t, s) {
		got = append(got, string(m.Data))
	}
	if fmt.Sprint(got) != "[4 5 6 7 8 9 10]" {
		t.Errorf("got %v", got)
	}
}

func TestAViewerFromNowSeesOnlyWhatComes(t *testing.T) {
	t.Parallel()
	h := newHub()
	h.Publish("a", EventType, 1)
	s := h.Subscribe(map[string]int64{"a": -1})
	defer s.Close()
	h.Publish("b", EventType, 2)
	h.Publish("a", EventType, 3)
	if ms := next(t, s); len(ms) != 1 || string(ms[0].Data) != "3" {
		t.Errorf("got %v", ms)
	}
}

func TestWhatTheRingHasLostIsAGap(t *testing.T) {
	t.Parallel()
	h := newHub()
	start := h.Seq("a")
	for i := range ringSize + 5 {
		h.Publish("a", EventType, i)
	}
	for name, from := range map[string]int64{"too old": start, "of another process": h.Seq("a") + 1000} {
		s := h.Subscribe(map[string]int64{"a": from})
		if ms := next(t, s); len(ms) != 1 || ms[0].Type != Gap || ms[0].Seq != h.Seq("a") {
			t.Errorf("%s: got %v", name, ms)
		}
		s.Close()
	}
}

func TestALaterHubNeverReusesSequences(t *testing.T) {
	t.Parallel()
	first := NewHub(func() time.Time { return time.UnixMilli(1000) })
	for range 500 {
		first.Publish("a", EventType, 0)
	}
	second := NewHub(func() time.Time { return time.UnixMilli(1001) })
	if second.Seq("a") <= first.Seq("a") {
		t.Errorf("the second begins at %d, the first is at %d", second.Seq("a"), first.Seq("a"))
	}
}

func TestASlowViewerKeepsStatesMergesSamplesAndCountsLogLines(t *testing.T) {
	t.Parallel()
	h := newHub()
	s := h.Subscribe(map[string]int64{"run:x": -1, "runs": -1})
	defer s.Close()
	v := func(x float64) *float64 { return &x }
	const rounds = 3000
	for i := range rounds {
		h.Publish("run:x", SamplesType, Samples{Steps: []int64{int64(i % 50)}, Series: map[string]map[string][]*float64{"loss": {"mean": {v(float64(i))}}}})
		h.Publish("run:x", LogType, Log{Lines: []run.LogLine{{Pos: run.LogPos(i)}}})
		h.Publish("run:x", State, run.Run{ID: "r-0000000001", Attempt: i})
		h.Publish("runs", State, run.Run{ID: run.ID(fmt.Sprintf("r-%d", i%3)), Attempt: i})
	}
	steps, lines, skipped := map[int64]float64{}, 0, 0
	states := map[string]int{}
	var seq int64
	ms := next(t, s)
	for _, m := range ms {
		switch m.Type {
		case SamplesType:
			var d Samples
			if err := json.Unmarshal(m.Data, &d); err != nil {
				t.Fatal(err)
			}
			for i, step := range d.Steps {
				steps[step] = *d.Series["loss"]["mean"][i]
			}
		case LogType:
			var d Log
			if err := json.Unmarshal(m.Data, &d); err != nil {
				t.Fatal(err)
			}
			lines, skipped = lines+len(d.Lines), skipped+d.Skipped
		case State:
			var r run.Run
			if err := json.Unmarshal(m.Data, &r); err != nil {
				t.Fatal(err)
			}
			states[m.Topic+string(r.ID)] = r.Attempt
		}
		if m.Topic == "run:x" {
			if m.Seq < seq {
				t.Errorf("sequence %d after %d", m.Seq, seq)
			}
			seq = m.Seq
		}
	}
	if len(ms) > maxQueue+8 {
		t.Errorf("%d messages are queued", len(ms))
	}
	if lines+skipped != rounds {
		t.Errorf("%d lines and %d skipped do not make %d", lines, skipped, rounds)
	}
	for step := range int64(50) {
		if want := float64(rounds - 50 + step); steps[step] != want {
			t.Errorf("step %d is %v, want %v", step, steps[step], want)
		}
	}
	for key, want := range map[string]int{"run:xr-0000000001": rounds - 1, "runsr-0": rounds - 3, "runsr-1": rounds - 2, "runsr-2": rounds - 1} {
		if states[key] != want {
			t.Errorf("newest state of %s is %d, want %d", key, states[key], want)
		}
	}
}

func TestTooManyEventsForASlowViewerAreAGap(t *testing.T) {
	t.Parallel()
	h := newHub()
	s := h.Subscribe(map[string]int64{"a": -1})
	defer s.Close()
	for i := range 2000 {
		h.Publish("a", EventType, i)
	}
	gap := false
	for _, m := range next(t, s) {
		gap = gap || m.Type == Gap
	}
	if !gap {
		t.Error("events were dropped without a gap")
	}
}

func TestIdleTopicsAreForgottenWithoutRepeatingSequences(t *testing.T) {
	t.Parallel()
	ms := int64(0)
	h := NewHub(func() time.Time { ms++; return time.UnixMilli(ms) })
	h.Publish("first", EventType, 1)
	was := h.Seq("first")
	for i := range idleTopics * 2 {
		h.Publish(fmt.Sprint(i), EventType, 1)
	}
	if len(h.topics) > idleTopics+1 {
		t.Errorf("%d topics are kept", len(h.topics))
	}
	s := h.Subscribe(map[string]int64{"first": was - 1})
	defer s.Close()
	if ms := next(t, s); ms[0].Type != Gap {
		t.Errorf("got %v, want a gap", ms)
	}
}

func TestClosingEndsAWaitingNext(t *testing.T) {
	t.Parallel()
	h := newHub()
	s := h.Subscribe(map[string]int64{"a": -1})
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := s.Next(context.Background()); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	s.Close()
	s.Close()
	wg.Wait()
	h.Publish("a", EventType, 1) // nobody is there, nobody waits
	if h.HasViewers("a") {
		t.Error("a closed subscription still counts")
	}
}

func TestARunIsToldWithoutItsConfiguration(t *testing.T) {
	t.Parallel()
	h := newHub()
	s := h.Subscribe(map[string]int64{"run:r-0000000001": -1, RunsTopic: -1, SweepTopic("s-0000000001"): -1})
	defer s.Close()
	r := run.Run{ID: "r-0000000001", Config: "secret = 1", Origin: run.Origin{Sweep: "s-0000000001"}}
	r.Options.Env, r.Options.Args = map[string]string{"A": "secret"}, []string{"secret"}
	h.PublishRun(r)
	ms := next(t, s)
	for _, m := range ms {
		if strings.Contains(string(m.Data), "secret") {
			t.Errorf("%s carries the configuration", m.Topic)
		}
	}
	if len(ms) != 3 {
		t.Errorf("got %v", ms)
	}
	h.PublishMany("s-0000000001")
	if ms := next(t, s); len(ms) != 2 || ms[0].Type != Gap || ms[1].Type != Gap {
		t.Errorf("many at once gave %v", ms)
	}
}

func TestASlowViewerOfASweepKeepsTheNewestStateOfEachRun(t *testing.T) {
	t.Parallel()
	h := newHub()
	topic := SweepTopic("s-0000000001")
	s := h.Subscribe(map[string]int64{topic: -1})
	defer s.Close()
	for i := range 3000 {
		h.PublishRun(run.Run{ID: run.ID(fmt.Sprintf("r-%d", i%5)), Attempt: i, Origin: run.Origin{Sweep: "s-0000000001"}})
	}
	newest := map[run.ID]int{}
	ms := next(t, s)
	for _, m := range ms {
		var r run.Run
		if err := json.Unmarshal(m.Data, &r); err != nil {
			t.Fatal(err)
		}
		newest[r.ID] = r.Attempt
	}
	if len(ms) > maxQueue || fmt.Sprint(newest) != "map[r-0:2995 r-1:2996 r-2:2997 r-3:2998 r-4:2999]" {
		t.Errorf("%d messages; the newest states are %v", len(ms), newest)
	}
}

func TestWhatJSONCannotHoldIsAGap(t *testing.T) {
	t.Parallel()
	h := newHub()
	s := h.Subscribe(map[string]int64{"a": -1})
	defer s.Close()
	h.Publish("a", SamplesType, math.NaN())
	if ms := next(t, s); len(ms) != 1 || ms[0].Type != Gap {
		t.Errorf("got %v", ms)
	}
}
