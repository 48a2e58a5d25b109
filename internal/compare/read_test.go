package compare

import (
	"context"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

// known is a store of summaries; the curve of each metric is its step.
type known map[run.ID][]points.Summary

func (k known) RunMetrics(_ context.Context, id run.ID) ([]points.Summary, error) { return k[id], nil }

func (k known) Each(_ context.Context, _ run.ID, _ string, _ int, from, to int64, take func(run.CurvePoint) bool) error {
	for step := int64(0); step <= 5000; step += 300 {
		if step >= from && step <= to && !take(run.CurvePoint{Step: step, Mean: float64(step)}) {
			break
		}
	}
	return nil
}

func TestWhatRunsReachedIsReadFromTheirSummaries(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	store := known{
		"r-1": {
			{Metric: "loss", Last: 90, Value: 2, Low: 1, LowStep: 80, High: 9, HighStep: 1},
			{Metric: "mfu", Last: 90, Value: 0.3, Low: 0.1, LowStep: 1, High: 0.4, HighStep: 50},
			{Metric: "lr", Last: 90, Value: 1e-3, Low: 0, High: 1}, {Metric: "total_tokens", Value: 5e6},
		},
	}
	young := run.Run{ID: "r-2", Progress: run.Progress{Step: 7, Loss: 6, HasLoss: true}}
	at := int64(1000)
	got, names, err := Read(t.Context(), store, []run.Run{{ID: "r-1"}, young, {ID: "r-3"}}, []string{"loss", "mfu", "lr"}, &at)
	if err != nil {
		t.Fatal(err)
	}
	none := Value{Final: nan, Best: nan, At: nan}
	want := []Values{
		{Tokens: 5e6, Metrics: []Value{{2, 1, 900, 90, 80, 900}, {0.3, 0.4, 900, 90, 50, 900}, {1e-3, nan, 900, 90, 0, 900}}},
		{Tokens: nan, Metrics: []Value{{6, nan, 900, 7, 0, 900}, none, none}},
		{Tokens: nan, Metrics: []Value{none, none, none}},
	}
	if got[0].Newest["loss"] != 90 || got[1].Newest["loss"] != 7 || len(got[2].Newest) != 0 {
		t.Errorf("newest steps %v, %v, %v", got[0].Newest, got[1].Newest, got[2].Newest)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateNaNs(), cmpopts.IgnoreFields(Values{}, "Newest")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"loss", "lr", "mfu", "total_tokens"}, names); diff != "" {
		t.Error(diff)
	}
	far := int64(9000)
	if got, _, _ = Read(t.Context(), store, []run.Run{{ID: "r-1"}}, []string{"loss"}, &far); !math.IsNaN(got[0].Metrics[0].At) {
		t.Errorf("a value far from its step: %+v", got[0])
	}
}
