package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
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
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
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

func TestAViewerThatFallsBehindGetsAGapForThatTopicAndThenWhatComes(t *testing.T) {
	t.Parallel()
	h := newHub()
	s := h.Subscribe(map[string]int64{"run:x": -1, "runs": -1})
	defer s.Close()
	for i := range 3000 {
		h.Publish("run:x", LogType, Log{Skipped: i})
	}
	h.Publish("runs", State, run.Run{ID: "r-0000000001"})
	behind := h.Seq("run:x")
	got := map[string][]Message{}
	for _, m := range next(t, s) {
		got[m.Topic] = append(got[m.Topic], m)
	}
	if ms := got["run:x"]; len(ms) != 1 || ms[0].Type != Gap || ms[0].Seq != behind {
		t.Errorf("the topic of which too much was missed: %v, want one gap at %d", ms, behind)
	}
	if ms := got["runs"]; len(ms) != 1 || ms[0].Type != State {
		t.Errorf("the other topic: %v, want its state", ms)
	}
	h.Publish("run:x", State, run.Run{ID: "r-0000000001", Attempt: 7})
	var r run.Run
	if ms := next(t, s); len(ms) != 1 || ms[0].Type != State || ms[0].Seq != behind+1 || json.Unmarshal(ms[0].Data, &r) != nil || r.Attempt != 7 {
		t.Errorf("after the gap: %v, want the state", ms)
	}
}

func TestEveryViewerSeesAllMessagesOrAGapWhateverItsPace(t *testing.T) {
	t.Parallel()
	h := newHub()
	start := h.Seq("a")
	const publishers, each = 4, 2000
	last := start + publishers*each
	var viewers, publishing sync.WaitGroup
	for pace := range 6 {
		s := h.Subscribe(map[string]int64{"a": -1, "b": -1})
		viewers.Go(func() {
			defer s.Close()
			for seq := start; seq < last; {
				if pace > 0 && seq > start { // some read again only when so much more was published that they are behind
					for h.Seq("a") < min(seq+int64(pace*ringSize/3), last) {
						runtime.Gosched()
					}
				}
				ms, err := s.Next(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				for _, m := range ms {
					if m.Topic != "a" {
						continue
					}
					if m.Type != Gap && m.Seq != seq+1 || m.Seq <= seq {
						t.Errorf("%s %d after %d", m.Type, m.Seq, seq)
						return
					}
					seq = m.Seq
				}
			}
		})
	}
	for range publishers {
		publishing.Go(func() {
			for i := range each {
				h.Publish("a", EventType, i)
				h.Publish("b", EventType, i)
			}
		})
	}
	publishing.Wait()
	viewers.Wait()
}

// Not parallel: it counts allocations.
func TestStalledViewersCostAPublisherNothing(t *testing.T) {
	data := Log{Lines: make([]run.LogLine, 50)}
	publish := func(viewers int) float64 {
		h := newHub()
		for range viewers {
			s := h.Subscribe(map[string]int64{"a": -1})
			defer s.Close()
			h.Publish("a", EventType, 0)
			next(t, s) // and never again
		}
		return testing.AllocsPerRun(3*ringSize, func() { h.Publish("a", LogType, data) })
	}
	if alone, watched := publish(0), publish(200); watched > alone {
		t.Errorf("a message takes %v allocations with 200 stalled viewers, %v without", watched, alone)
	}
}

func TestARunIsEncodedOnceForAllItsTopics(t *testing.T) {
	t.Parallel()
	h := newHub()
	s := h.Subscribe(map[string]int64{"run:r-0000000001": -1, RunsTopic: -1, SweepTopic("s-0000000001"): -1})
	defer s.Close()
	h.PublishRun(run.Run{ID: "r-0000000001", Origin: run.Origin{Sweep: "s-0000000001"}})
	ms := next(t, s)
	if len(ms) != 3 {
		t.Fatalf("got %v", ms)
	}
	for _, m := range ms {
		if &m.Data[0] != &ms[0].Data[0] || m.Run != "r-0000000001" {
			t.Errorf("%s has its own bytes, or no run: %q", m.Topic, m.Run)
		}
	}
}

func TestOfABatchOnlyTheNewestStateOfEachRunMatters(t *testing.T) {
	t.Parallel()
	batch := []Message{
		{Topic: "run:r-1", Seq: 1, Type: State, Run: "r-1"},
		{Topic: "run:r-1", Seq: 2, Type: Workers},
		{Topic: "sweep:s", Seq: 3, Type: State, Run: "r-1"},
		{Topic: "sweep:s", Seq: 4, Type: State, Run: "r-2"},
		{Topic: "run:r-1", Seq: 5, Type: EventType},
		{Topic: "sweep:s", Seq: 6, Type: State, Run: "r-1"},
		{Topic: "run:r-1", Seq: 7, Type: EventType},
		{Topic: "run:r-1", Seq: 8, Type: Workers},
		{Topic: "run:r-1", Seq: 9, Type: State, Run: "r-1"},
	}
	var got []int64
	for _, m := range Coalesce(batch) {
		got = append(got, m.Seq)
	}
	if fmt.Sprint(got) != "[4 5 6 7 8 9]" {
		t.Errorf("kept %v", got)
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

func TestEachProjectHasATopic(t *testing.T) {
	t.Parallel()
	h := newHub()
	s := h.Subscribe(map[string]int64{RunsTopic: -1, RunsOf("vision"): -1, RunsOf("text"): -1})
	defer s.Close()
	r := run.Run{ID: "r-0000000001", Project: "vision", State: run.Running}
	h.PublishRun(r)
	h.PublishDeleted(r)
	got := map[string][]string{}
	for range 2 {
		for _, m := range next(t, s) {
			got[m.Topic] = append(got[m.Topic], m.Type)
			if m.Project != "vision" {
				t.Errorf("%s on %s is of project %q", m.Type, m.Topic, m.Project)
			}
		}
		if len(got[RunsTopic]) == 2 && len(got[RunsOf("vision")]) == 2 {
			break
		}
	}
	for _, topic := range []string{RunsTopic, RunsOf("vision")} {
		if !slices.Equal(got[topic], []string{State, Deleted}) {
			t.Errorf("%s has %v", topic, got[topic])
		}
	}
	if len(got) != 2 {
		t.Errorf("topics %v", got)
	}
}

func TestManyChangesAreAGapForListsOnly(t *testing.T) {
	t.Parallel()
	h := newHub()
	list, one := h.Seq(RunsOf("vision")), h.Seq("run:r-0000000001") // pages that do not follow yet
	h.PublishMany("")
	s := h.Subscribe(map[string]int64{RunsOf("vision"): list, "run:r-0000000001": one})
	defer s.Close()
	if ms := next(t, s); len(ms) != 1 || ms[0].Type != Gap || ms[0].Topic != RunsOf("vision") {
		t.Errorf("got %v", ms)
	}
	if h.Seq("run:r-0000000001") != one {
		t.Error("the topic of a run starts elsewhere")
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
