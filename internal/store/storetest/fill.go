package storetest

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

// Fill makes what a console keeps: runs r-0000000000 and so on, which succeeded, with two workers, points as chunks and as
// rows, curves, and logs sealed and not; the queued run r-000000000v of a sweep; a template; and a measurement.
func Fill(ctx context.Context, s Store, runs int) error {
	for n := range runs {
		if err := FillRun(ctx, s, n); err != nil {
			return err
		}
	}
	for more := true; more; {
		var err error
		if more, err = s.SealPoints(ctx); err != nil {
			return err
		}
	}
	late := fillBatch("r-0000000000", 1, 0)
	late.AllocID, late.Points = "late", []points.Point{{Metric: "other", Step: 3, Value: math.Inf(1)}}
	if err := s.Commit(ctx, []*store.Batch{late}); err != nil {
		return err
	}
	if err := s.RegisterSecret(ctx, run.Secret{Name: "HF_TOKEN", In: run.InNomad, Path: "cotrain/hub"}); err != nil {
		return err
	}
	if _, err := s.SaveTemplate(ctx, run.Template{Project: "default", Name: "one", Config: "x = 1"}, 0); err != nil {
		return err
	}
	m := measurement(1)
	if err := s.StartMeasurement(ctx, m); err != nil {
		return err
	}
	m.State = measure.Done
	if err := s.SaveMeasurement(ctx, m, []measure.Report{{Node: m.Nodes[0], Links: map[string]measure.Link{"b": {At: epoch, Bandwidth: 1}}}}, nil); err != nil {
		return err
	}
	queued := run.Run{ID: "r-000000000v", Project: "default", Name: "swept", State: run.Queued, CreatedAt: epoch, Shape: run.Shape{Nodes: 1}, Origin: run.Origin{Sweep: "s-0000000001"}}
	_, _, err := s.CreateSweep(ctx, run.Sweep{ID: "s-0000000001", Project: "default", Name: "sweep", CreatedAt: epoch}, "", []run.Run{queued}, []run.Event{queuedEvent(queued.ID)})
	return err
}

// RunID is that of [FillRun].
func RunID(n int) run.ID { return run.ID(fmt.Sprintf("r-%010d", n)) }

// FillRun makes one of the runs of [Fill].
func FillRun(ctx context.Context, s Store, n int) error {
	id := RunID(n)
	err := fillRun(ctx, s, id)
	if err == nil {
		err = fillCurves(ctx, s, id)
	}
	if err != nil {
		return fmt.Errorf("fill %s: %w", id, err)
	}
	return nil
}

func queuedEvent(id run.ID) run.Event {
	return run.Event{RunID: id, At: epoch, Kind: "state", Level: "info", Actor: "ann", To: run.Queued, Rank: -1}
}

func fillRun(ctx context.Context, s Store, id run.ID) error {
	r := newRun(string(id), "run "+string(id))
	r.Options = run.Options{Description: "of a test", Tags: []string{"tag", "7b"}, Priority: 60, MaxDuration: 3600}
	if _, _, err := s.CreateRun(ctx, r, "key "+string(id), queuedEvent(id)); err != nil {
		return err
	}
	for _, state := range []run.State{run.Dispatching, run.Pending, run.Running, run.Succeeded} {
		_, err := s.Update(ctx, id, func(u *store.Update) error {
			u.Run.Attempt = 1
			u.Attempt = run.Attempt{RunID: id, Number: 1, ParentJob: "p", JobID: "job " + string(id), CreatedAt: epoch}
			u.Workers = nil
			for rank := range 2 {
				u.Workers = append(u.Workers, run.Worker{AllocID: fmt.Sprint(id, "/", rank), RunID: id, Attempt: 1, Rank: rank, State: run.WorkerRunning, StartedAt: epoch})
			}
			return u.Move(state, run.Console, "", epoch)
		})
		if err != nil {
			return err
		}
	}
	return s.Commit(ctx, []*store.Batch{fillBatch(id, 0, 1500), fillBatch(id, 1, 1400)})
}

// fillBatch is a worker's first batch, with points of some steps.
func fillBatch(id run.ID, rank int, steps int64) *store.Batch {
	b := &store.Batch{
		RunID: id, AllocID: fmt.Sprint(id, "/", rank), Stream: "stdout", Rank: rank, Attempt: 1, At: epoch, To: store.Cursor{File: "f", Offset: 1},
		Log: []byte(strings.Repeat("a line\n", 1000)), Checkpoints: []store.Checkpoint{{Step: 5, Path: "models/step_5"}},
	}
	for step := range steps {
		loss := 10 / float64(step+1+int64(rank))
		if step == 700 {
			loss = math.NaN()
		}
		b.Points = append(b.Points, points.Point{Metric: "loss", Step: step, Value: loss, Exact: true}, points.Point{Metric: "tokens_per_second", Step: step, Value: float64(step)})
	}
	return b
}

// fillCurves does what ingest does after it.
func fillCurves(ctx context.Context, s Store, id run.ID) error {
	for more := true; more; {
		part, _, err := s.RollUp(ctx, id)
		if err != nil {
			return err
		}
		more = part.More
	}
	head, err := s.Headline(ctx, id)
	if err != nil {
		return err
	}
	if err := s.SaveProgress(ctx, id, head); err != nil {
		return err
	}
	if err := Summarize(ctx, s); err != nil {
		return err
	}
	return s.Seal(ctx, id, 1)
}

// Summarize brings all summaries of metrics up to date.
func Summarize(ctx context.Context, s interface {
	Summarize(ctx context.Context, now time.Time) (bool, error)
}) error {
	now := time.Now().AddDate(1, 0, 0) // when all are due
	for more := true; more; {
		var err error
		if more, err = s.Summarize(ctx, now); err != nil {
			return err
		}
	}
	return nil
}
