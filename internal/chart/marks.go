package chart

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store/points"
)

// Mark is something that happened at a step of a run.
type Mark struct {
	Step    int64     `json:"step"`
	At      time.Time `json:"at,omitzero"`
	Kind    string    `json:"kind"`
	Text    string    `json:"text"`
	Worker  int       `json:"worker"`            // its rank, -1 for the run
	Attempt int       `json:"attempt,omitempty"` // that begins here
	Event   int64     `json:"event,omitempty"`   // its sequence, 0 if it is none
}

// Kinds of marks.
const (
	Restart    = "restart"
	Joined     = "join"
	Lost       = "loss" // of a worker
	Synced     = "sync"
	SyncFailed = "sync_failed"
	Checkpoint = "checkpoint"
	NotFinite  = "nan"
	Evaluation = "evaluation"
	OffPlan    = "schedule" // the learning rate leaves its schedule
)

// kinds are the marks of events.
var kinds = map[string]string{
	"mesh_ready":       Joined,
	"recovery_done":    Joined,
	"evicted":          Lost,
	"heartbeat_lost":   Lost,
	"sync_failed":      SyncFailed,
	"checkpoint_saved": Checkpoint,
	"diverged":         NotFinite,
}

// Bounds of marks.
const (
	markedEvents = 5000 // the newest are looked at
	markedSteps  = 200  // of syncs, and of evaluations
	MaxMarks     = 2000 // the newest are kept
)

// Marks are what happened to a run, by step, the newest of each step and kind. Events know their time only: they stand at the step
// that was reported then.
func (c *Charts) Marks(ctx context.Context, r run.Run) ([]Mark, error) {
	a, err := c.ask(ctx, r, Query{Workers: AllWorkers, X: Step})
	if err != nil {
		return nil, err
	}
	m := marker{asked: a}
	if m.names, err = c.store.Metrics(ctx, r.ID); err != nil {
		return nil, err
	}
	for _, find := range []func(context.Context) error{m.events, m.steps, m.schedule} {
		if err := find(ctx); err != nil {
			return nil, fmt.Errorf("marks of %s: %w", r.ID, err)
		}
	}
	slices.SortStableFunc(m.out, func(a, b Mark) int {
		return cmp.Or(cmp.Compare(a.Step, b.Step), cmp.Compare(a.Kind, b.Kind), -cmp.Compare(a.Event, b.Event))
	})
	out := slices.CompactFunc(m.out, func(a, b Mark) bool { return a.Step == b.Step && a.Kind == b.Kind })
	return out[max(0, len(out)-MaxMarks):], nil
}

type marker struct {
	*asked
	names []string
	out   []Mark
}

func (m *marker) events(ctx context.Context) error {
	events, err := m.store.EventsBefore(ctx, m.run.ID, math.MaxInt64, markedEvents)
	if err != nil {
		return err
	}
	steps, err := m.clockwork(ctx)
	if err != nil {
		return err
	}
	for _, e := range events {
		kind, ok := kinds[e.Kind]
		if !ok {
			continue
		}
		mark := Mark{Step: stepAt(steps, e.At.UnixMilli()), At: e.At, Kind: kind, Text: e.Message, Worker: e.Rank, Event: e.Seq}
		if d := m.run.Diverged; kind == NotFinite && d != nil && e.Attempt == m.run.Attempt {
			mark.Step = d.Step
		}
		m.out = append(m.out, mark)
	}
	joins, err := m.store.Joins(ctx, m.run.ID)
	if err != nil {
		return err
	}
	for _, j := range joins {
		mark := Mark{Step: j.From, Kind: Restart, Text: fmt.Sprintf("Attempt %d", j.Attempt), Worker: -1, Attempt: j.Attempt}
		if i := slices.IndexFunc(events, func(e run.Event) bool { return e.Attempt == j.Attempt }); i >= 0 {
			mark.At, mark.Event = events[i].At, events[i].Seq
		}
		m.out = append(m.out, mark)
	}
	return nil
}

// clockwork is the curve that tells which step was reported when: that of the headline, or else of any metric with steps.
func (m *marker) clockwork(ctx context.Context) (series.View, error) {
	for _, name := range slices.Concat(points.CurveMetrics(), m.names) {
		if strings.HasPrefix(name, run.SystemPrefix) || !slices.Contains(m.names, name) {
			continue
		}
		v, err := m.store.View(ctx, m.run.ID, name, points.ViewQuery{Worker: points.AllWorkers, From: math.MinInt64, To: run.MaxStep, Limit: MaxWidth})
		if err != nil || len(v.Columns) > 0 {
			return v, err
		}
	}
	return series.View{}, nil
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

// evaluations are the last parts of the names of metrics that an evaluation reports.
var evaluations = []string{"val_loss", "eval_loss", "eval/loss", "val/loss", "validation/loss", "eval_accuracy", "eval/accuracy"}

// steps marks what metrics tell: outer steps and evaluations.
func (m *marker) steps(ctx context.Context) error {
	for _, of := range []struct {
		kind, text, unit string
		metrics          []string // the first that there is
	}{
		{Synced, "Synced in ", " s", []string{"sync_seconds", "all_reduce_seconds"}},
		{Evaluation, "", "", evaluations},
	} {
		i := slices.IndexFunc(of.metrics, func(name string) bool { return slices.Contains(m.names, name) })
		if i < 0 {
			continue
		}
		v, err := m.store.View(ctx, m.run.ID, of.metrics[i], points.ViewQuery{Worker: points.AllWorkers, From: math.MinInt64, To: run.MaxStep, Limit: markedSteps})
		if err != nil {
			return err
		}
		for _, c := range v.Columns {
			text := of.text
			if text == "" {
				text = of.metrics[i] + " "
			}
			text += strconv.FormatFloat(c.Value, 'g', 4, 64) + of.unit
			if c.Points > 1 {
				text += fmt.Sprintf(", mean of %d until step %d", c.Points, c.Last)
			}
			m.out = append(m.out, Mark{Step: c.First, At: time.UnixMilli(c.FirstAt).UTC(), Kind: of.kind, Text: text, Worker: -1})
		}
	}
	return nil
}

// offPlan is the share by which a learning rate may differ from its schedule, and of its peak, since it is often printed with few
// digits.
const (
	offPlan = 0.01
	ofPeak  = 0.001
)

// schedule marks where the learning rate leaves the configuration's schedule by more than 1 %. Trainers differ in whether they report
// the rate of a step or of the one before or after; each will do.
func (m *marker) schedule(ctx context.Context) error {
	planned := m.operand(Planned)
	if planned.value == nil {
		return nil
	}
	off, peak := false, 0.0
	return m.store.Each(ctx, m.run.ID, planned.From, points.AllWorkers, 0, m.settled(line{metrics: []string{planned.From}}, points.AllWorkers), func(p run.CurvePoint) bool {
		low, high := math.Inf(1), math.Inf(-1)
		for step := p.Step - 1; step <= p.Step+1; step++ {
			rate := planned.value(max(0, step), 0)
			low, high, peak = min(low, rate), max(high, rate), max(peak, rate)
		}
		slack := offPlan*high + ofPeak*peak
		was := off
		off = !(p.Mean >= low-slack && p.Mean <= high+slack)
		if off && !was {
			m.out = append(m.out, Mark{Step: p.Step, At: p.At, Kind: OffPlan, Worker: -1, Text: fmt.Sprintf("Learning rate %.4g, planned %.4g", p.Mean, planned.value(p.Step, 0))})
		}
		return len(m.out) < 2*MaxMarks
	})
}
