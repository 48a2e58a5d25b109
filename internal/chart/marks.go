package chart

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/points"
)

// Mark is something that happened at a step of a run.
type Mark struct {
	Step  int64     `json:"step"`
	At    time.Time `json:"at,omitzero"`
	Kind  string    `json:"kind"` // restart, join, loss, sync, checkpoint, nan, evaluation
	Text  string    `json:"text"`
	Event int64     `json:"event,omitempty"` // its sequence, 0 if it is none
}

// Kinds of marks.
const (
	Restart    = "restart"
	Joined     = "join"
	Lost       = "loss"
	SyncLost   = "sync"
	Checkpoint = "checkpoint"
	NotFinite  = "nan"
	Evaluation = "evaluation"
)

// kinds are the marks of events.
var kinds = map[string]string{
	"mesh_ready":       Joined,
	"recovery_done":    Joined,
	"evicted":          Lost,
	"heartbeat_lost":   Lost,
	"sync_failed":      SyncLost,
	"checkpoint_saved": Checkpoint,
	"evaluation_done":  Evaluation,
}

// marked is how many of a run's newest events are looked at.
const marked = 2000

// Marks are what happened to a run, by step, the newest of each step and kind. Events know their time only: they stand at the step
// that was reported then.
func (c *Charts) Marks(ctx context.Context, r run.Run) ([]Mark, error) {
	var out []Mark
	joins, err := c.store.Joins(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	for _, j := range joins {
		out = append(out, Mark{Step: j.From, Kind: Restart, Text: fmt.Sprintf("attempt %d", j.Attempt)})
	}
	if d := r.Diverged; d != nil {
		out = append(out, Mark{Step: d.Step, Kind: NotFinite, Text: fmt.Sprintf("loss is not finite on worker %d", d.Rank)})
	}
	events, err := c.store.EventsBefore(ctx, r.ID, math.MaxInt64, marked)
	if err != nil {
		return nil, err
	}
	steps, err := c.store.View(ctx, r.ID, "loss", points.ViewQuery{Worker: points.AllWorkers, From: math.MinInt64, To: run.MaxStep, Limit: MaxWidth})
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		if kind, ok := kinds[e.Kind]; ok {
			out = append(out, Mark{Step: stepAt(steps, e.At.UnixMilli()), At: e.At, Kind: kind, Text: textOf(e), Event: e.Seq})
		}
	}
	slices.SortStableFunc(out, func(a, b Mark) int {
		return cmp.Or(cmp.Compare(a.Step, b.Step), cmp.Compare(a.Kind, b.Kind), -cmp.Compare(a.Event, b.Event))
	})
	return slices.CompactFunc(out, func(a, b Mark) bool { return a.Step == b.Step && a.Kind == b.Kind }), nil
}

func textOf(e run.Event) string {
	if e.Rank >= 0 {
		return fmt.Sprintf("worker %d: %s", e.Rank, e.Message)
	}
	return e.Message
}

// stepAt is the newest step that was reported before a time, between the ends of a column in proportion.
func stepAt(v series.View, at int64) int64 {
	i := sort.Search(len(v.Columns), func(i int) bool { return v.Columns[i].FirstAt > at }) - 1
	if i < 0 {
		if len(v.Columns) == 0 {
			return 0
		}
		return v.Columns[0].First
	}
	c := v.Columns[i]
	if at >= c.LastAt || c.LastAt <= c.FirstAt {
		return c.Last
	}
	return c.First + int64(float64(c.Last-c.First)*float64(at-c.FirstAt)/float64(c.LastAt-c.FirstAt))
}
