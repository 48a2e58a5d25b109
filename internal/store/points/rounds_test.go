package points_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

// TestRoundsAreOfAllAttempts in rows as in chunks, also of steps that a later attempt has repeated.
func TestRoundsAreOfAllAttempts(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := open(t, p)
		s.SetPointsPerChunk(7)
		ctx := t.Context()
		_, _, err := s.CreateRun(ctx, run.Run{ID: pointsRun, State: run.Running, InnerSteps: 10}, "")
		must(t, err)
		cursors := map[string]store.Cursor{}
		report := func(rank, attempt int, from, to int64) {
			t.Helper()
			of := fmt.Sprint(rank, "/", attempt)
			b := &store.Batch{
				RunID: pointsRun, Attempt: attempt, Rank: rank, AllocID: of, Stream: "stdout", At: time.UnixMilli(1_700_000_000_000), From: cursors[of], To: store.Cursor{Offset: cursors[of].Offset + 1}, Log: []byte("x"),
			}
			for step := from; step <= to; step++ {
				b.Points = append(b.Points, points.Point{Metric: "time", Step: step, Value: float64(step) + float64(rank)/10})
			}
			must(t, s.Commit(ctx, []*store.Batch{b}))
			cursors[of] = b.To
		}
		for rank := range 2 {
			report(rank, 1, 1, 100)
		}
		must(t, sealAll(ctx, s))
		if _, chunks, err := s.CountPoints(ctx); err != nil || chunks == 0 {
			t.Fatalf("%d chunks, %v", chunks, err)
		}
		report(0, 2, 61, 85)
		read := func(q points.RoundQuery) []string {
			t.Helper()
			got := map[string]float64{}
			q.Metrics, q.Every = []string{"nothing", "time"}, 10
			must(t, s.Rounds(ctx, pointsRun, q, func(p points.RoundPoint) {
				got[fmt.Sprintf("%d/%d@%03d", p.Rank, p.Attempt, p.Step)] = p.Value
				if want := float64(p.Step) + float64(p.Rank)/10; p.Value != want || p.At == 0 || p.Metric != "time" {
					t.Errorf("%+v, want %g", p, want)
				}
			}))
			return slices.Sorted(maps.Keys(got))
		}
		if got := read(points.RoundQuery{}); len(got) != 22 || got[0] != "0/1@010" || got[9] != "0/1@100" || got[10] != "0/2@070" || got[21] != "1/1@100" {
			t.Errorf("all rounds: %v", got)
		}
		if got, want := read(points.RoundQuery{Attempt: 1, From: 85}), []string{"0/1@090", "0/1@100", "0/2@070", "0/2@080", "1/1@090", "1/1@100"}; !slices.Equal(got, want) {
			t.Errorf("from step 85 of attempt 1: %v, want %v", got, want)
		}
		if got, want := read(points.RoundQuery{Attempt: 2, From: 80}), []string{"0/2@080"}; !slices.Equal(got, want) {
			t.Errorf("from step 80 of attempt 2: %v, want %v", got, want)
		}
	})
}
