package watch

import (
	"context"
	"time"

	"github.com/cotrain/cotrain/internal/rhythm"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

const (
	// relearned is how many of its newest reports tell a worker's rhythm to a new console; of many workers fewer, relearnedPoints in all.
	relearned       = 300
	relearnedPoints = 60_000
)

// relearn learns from what is stored of an attempt that an earlier console watched, once.
func (w *Watcher) relearn(ctx context.Context, r run.Run, a run.Attempt, ws []run.Worker) error {
	w.vitals.mu.Lock()
	v := w.vitals.of(r.ID, a.Number)
	if v == nil || v.learned {
		w.vitals.mu.Unlock()
		return nil
	}
	v.expected, v.steps = expect(r), r.StepsTotal
	for _, m := range v.members {
		m.rhythm.Expect(v.expected)
		m.loss.Expect(v.steps, 1)
	}
	fresh := a.CreatedAt.After(w.began) || r.Progress.Step == 0
	v.learned = fresh
	w.vitals.mu.Unlock()
	if fresh {
		return nil
	}
	past, err := w.past(ctx, r, a, ws)
	if err != nil {
		return err
	}
	w.vitals.mu.Lock()
	defer w.vitals.mu.Unlock()
	for _, wk := range ws {
		m := past[wk.Rank]
		if m == nil {
			continue
		}
		if heard := v.members[wk.AllocID]; heard != nil { // by this console, meanwhile
			m.rhythm.Report(heard.rhythm.Step(), heard.rhythm.At(), 0)
			for _, p := range heard.heard { // what was not stored yet when the past was read
				if p.step > m.lossStep {
					m.watchLoss(p.step, p.loss, p.at)
				}
			}
			m.clock, m.told, m.peers, m.alone, m.aloneAt = heard.clock, heard.told, heard.peers, heard.alone, heard.aloneAt
		}
		v.members[wk.AllocID] = m
	}
	v.learned = true
	return nil
}

// past makes members of the stored points of an attempt's workers, by rank.
func (w *Watcher) past(ctx context.Context, r run.Run, a run.Attempt, ws []run.Worker) (map[int]*member, error) {
	each := int64(max(1, min(relearned, relearnedPoints/max(1, len(ws)))))
	from, since := r.Progress.Step-each, a.CreatedAt.UnixMilli()
	page := func(metric string) ([]points.WorkerPoint, error) {
		return w.o.Store.PointsPage(ctx, r.ID, metric, from, nil, relearnedPoints)
	}
	done := map[[2]int64]rhythm.Mark{} // by rank and step
	for metric, mark := range map[string]rhythm.Mark{"sync_seconds": rhythm.Sync, "outer_mfu": rhythm.Sync, "val_loss": rhythm.Evaluation, "eval_loss": rhythm.Evaluation} {
		list, err := page(metric)
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			done[[2]int64{int64(p.Rank), p.Step}] |= mark
		}
	}
	saved, err := w.o.Store.SavedCheckpoints(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	for _, s := range saved {
		if s.Attempt == a.Number {
			done[[2]int64{int64(s.Rank), s.Step}] |= rhythm.Checkpoint
		}
	}
	losses, err := page("loss")
	if err != nil {
		return nil, err
	}
	out := map[int]*member{}
	for i, p := range losses {
		if p.At < since {
			continue
		}
		m := out[p.Rank]
		if m == nil {
			m = newMember(p.Rank, expect(r), r.StepsTotal, time.UnixMilli(p.At))
			out[p.Rank] = m
		}
		m.watchLoss(p.Step, float64(p.Value), time.UnixMilli(p.At))
		// What came together tells of one interval only.
		if next := i + 1; next == len(losses) || losses[next].Rank != p.Rank || losses[next].At != p.At {
			m.rhythm.Report(p.Step, time.UnixMilli(p.At), 0)
		}
		m.rhythm.Mark(done[[2]int64{int64(p.Rank), p.Step}]) // follows the step
	}
	return out, nil
}
