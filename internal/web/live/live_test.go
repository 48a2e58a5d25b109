package live

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	view "github.com/cotrain/cotrain/views/runs"
)

// noRuns are the runs of tests that need none.
type noRuns struct{ Runs }

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
	if err != nil || first == nil {
		t.Fatalf("%v, %v", first, err)
	}
	m.Data = json.RawMessage(`not looked at`)
	if again, err := s.fragment(t.Context(), m); err != nil || again != first {
		t.Errorf("rendered again: %v", err)
	}
	for i := range int64(fragmentsKept) {
		s.fragments.of(fragmentKey{"x", "y", "", false, i})
	}
	if _, ok := s.fragments.all[fragmentKey{topic, feed.State, "", false, 9}]; ok || len(s.fragments.all) > fragmentsKept {
		t.Errorf("the cache has %d entries, the oldest among them: %v", len(s.fragments.all), ok)
	}
	if _, err := s.fragment(t.Context(), feed.Message{Topic: topic, Seq: 10, Type: feed.State, Data: json.RawMessage(`garbage`)}); err == nil {
		t.Error("garbage was rendered")
	}
}

// placed are runs that know no more of the queue than what they say.
type placed struct{ Runs }

func (placed) SetQueuePlaces(context.Context, []run.Run) error { return nil }

// TestALiveHeadIsThatOfThePage compares what a message changes with what the page shows when it is read again, in all states and for each
// cause of a stop: a message must have all that the head depends on.
func TestALiveHeadIsThatOfThePage(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0).UTC()
	s := New(Options{Runs: placed{}, Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler)})
	hub := feed.NewHub(time.Now)
	sub := hub.Subscribe(map[string]int64{feed.RunTopic("r-0000000001"): -1})
	defer sub.Close()
	ctx := access.With(t.Context(), access.Local())
	cause := &run.Cause{Category: "nan_loss", Title: "Loss is NaN", Summary: "The loss is not finite.", Rank: 1, Node: "n", Evidence: []run.CauseLine{{Rank: new(int), Pos: 3, Text: "x"}}, Retry: &run.RetryPlan{Why: "why"}}
	causes := []run.StopCause{"", run.StopByPerson, run.StopExpired, run.StopKilled, run.StopAgent, run.StopDoomed, run.StopOverdue, run.StopPause, run.StopRestart, run.StopHang, run.StopLoss, run.StopRollback}
	revision := int64(0)
	for _, state := range run.States() {
		for _, stop := range causes {
			for _, change := range []func(*run.Run){
				func(*run.Run) {}, func(r *run.Run) { r.StopRequested = true }, func(r *run.Run) { r.Cause = cause }, func(r *run.Run) { r.Pausing = &run.Pausing{When: run.PauseAtCheckpoint, Next: 40} },
				func(r *run.Run) { r.GivenUp, r.Options.Retries = true, 3 }, func(r *run.Run) { r.NotBefore, r.Cause = now.Add(time.Minute), cause },
				func(r *run.Run) {
					r.Diverged, r.Progress.Loss, r.Progress.HasLoss = &run.Diverged{Step: 7, Rank: 1}, math.NaN(), true
				},
				func(r *run.Run) {
					r.Notices = []run.Notice{{Kind: run.NoticeHang, Rank: 1, Text: "it hangs", Next: "It is restarted.", At: now.Add(time.Minute)}}
				},
			} {
				revision++
				r := run.Run{ID: "r-0000000001", Name: "a", Project: "default", State: state, StopCause: stop, Attempt: 2, Revision: revision, Reason: "why", Shape: run.Shape{Nodes: 2}, StepsTotal: 100, CreatedAt: now}
				change(&r)
				hub.PublishRun(r)
				ms, err := sub.Next(ctx)
				if err != nil || len(ms) != 1 {
					t.Fatal(len(ms), err)
				}
				_, live, err := s.renderFragment(ctx, ms[0])
				if err != nil {
					t.Fatal(err)
				}
				page, err := s.toString(ctx, view.Headline(r, now))
				if err != nil {
					t.Fatal(err)
				}
				if !strings.HasPrefix(live, page) {
					t.Fatalf("%s, stopped for %q: the live head differs from the page's:\n%s\n%s", state, stop, live[:min(len(live), len(page))], page)
				}
			}
		}
	}
}
