package watch

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/rhythm"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

const (
	// relearned is how many of its newest reports tell a worker's rhythm to a new console; of many workers fewer, relearnedPoints in all,
	// but as many as its loss takes.
	relearned       = 300
	relearnedPoints = 60_000
)

// relearn learns from what is stored of a run before this console watched this attempt, once: of the attempt itself, and of those before,
// which it continues. What those reported of steps that it repeats has been replaced once it has reported a step, so until then it waits.
func (w *Watcher) relearn(ctx context.Context, r run.Run, a run.Attempt, ws []run.Worker) error {
	w.vitals.mu.Lock()
	v := w.vitals.of(r.ID, a.Number)
	if v == nil || v.learned {
		w.vitals.mu.Unlock()
		return nil
	}
	v.expected, v.steps = expect(r), r.StepsTotal
	for _, m := range v.members {
		m.expect(v.expected, v.steps)
	}
	fresh := a.Number == 1 && (a.CreatedAt.After(w.began) || r.Progress.Step == 0)
	if fresh {
		v.learn()
	}
	w.vitals.mu.Unlock()
	if fresh || a.Number > 1 && !r.Progress.UpdatedAt.After(a.CreatedAt) {
		return nil
	}
	past, err := w.past(ctx, r, a, len(ws))
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
			if !m.rhythm.Started() {
				m.rhythm.Excuse(heard.rhythm.At())
			}
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
	v.learn()
	return nil
}

// learn notes that there is nothing more to learn of the past.
func (v *vital) learn() {
	v.learned = true
	for _, m := range v.members {
		m.early, m.heard = false, nil
	}
}

// past makes members of the stored points of an attempt's workers, by rank, and of what earlier attempts reported of the steps before.
func (w *Watcher) past(ctx context.Context, r run.Run, a run.Attempt, workers int) (map[int]*member, error) {
	began, err := w.beginnings(ctx, r.ID, a)
	if err != nil {
		return nil, err
	}
	losses, from, err := w.pastLosses(ctx, r, workers)
	if err != nil {
		return nil, err
	}
	done, err := w.pastMarks(ctx, r, from)
	if err != nil {
		return nil, err
	}
	out, of := map[int]*member{}, map[int]int{}
	for i, p := range losses {
		at, attempt := time.UnixMilli(p.At), attemptAt(began, p.At)
		m := out[p.Rank]
		if m == nil {
			m = newMember(p.Rank, expect(r), r.StepsTotal, at)
			out[p.Rank] = m
		} else if of[p.Rank] != attempt {
			m.again(at)
		}
		of[p.Rank] = attempt
		m.watchLoss(p.Step, float64(p.Value), at)
		if p.Step < from { // of which nothing else is known
			continue
		}
		// What came together tells of one interval only.
		if next := i + 1; next == len(losses) || losses[next].Rank != p.Rank || losses[next].At != p.At {
			m.rhythm.Report(p.Step, at, 0)
		}
		m.rhythm.Mark(done[[2]int64{int64(p.Rank), p.Step}]) // follows the step
	}
	for rank, m := range out {
		if of[rank] != len(began)-1 { // it has yet to report
			m.again(a.CreatedAt)
		}
	}
	return out, nil
}

// beginnings are when the attempts of a run began, up to a, in Unix milliseconds.
func (w *Watcher) beginnings(ctx context.Context, id run.ID, a run.Attempt) ([]int64, error) {
	attempts, err := w.o.Store.Attempts(ctx, id)
	if err != nil {
		return nil, err
	}
	var out []int64
	for _, other := range attempts {
		if other.Number <= a.Number {
			out = append(out, other.CreatedAt.UnixMilli())
		}
	}
	return out, nil
}

// attemptAt is the place of the attempt under way at a time, -1 before the first.
func attemptAt(began []int64, at int64) int {
	for i, b := range slices.Backward(began) {
		if b <= at {
			return i
		}
	}
	return -1
}

// pastLosses are the newest losses of each worker, by rank and step, from a step on; before it, those of the first worker that tell a
// plateau, and those that told what is wrong with one.
func (w *Watcher) pastLosses(ctx context.Context, r run.Run, workers int) (losses []points.WorkerPoint, from int64, err error) {
	_, most := rhythm.Memory(r.StepsTotal, 1)
	most = min(most, relearnedPoints)
	page := func(from, limit int64) ([]points.WorkerPoint, error) {
		return w.o.Store.PointsPage(ctx, r.ID, "loss", from, nil, int(limit))
	}
	// Where not every step is reported, what is needed lies further back.
	older, err := page(r.Progress.Step-most, most)
	if err != nil || len(older) == 0 {
		return nil, 0, err
	}
	older = slices.DeleteFunc(older, func(p points.WorkerPoint) bool { return p.Rank != older[0].Rank })
	stride := strideOf(older)
	needed, most := rhythm.Memory(r.StepsTotal, stride)
	if stride > 1 {
		most = min(most, relearnedPoints)
		rank := older[0].Rank
		if older, err = page(r.Progress.Step-most*stride, most); err != nil {
			return nil, 0, err
		}
		older = slices.DeleteFunc(older, func(p points.WorkerPoint) bool { return p.Rank != rank })
	}
	each := max(needed, min(relearned, relearnedPoints/int64(max(1, workers))))
	from = r.Progress.Step - each*stride
	if losses, err = page(from, max(relearnedPoints, 2*each*int64(workers))); err != nil {
		return nil, 0, err
	}
	for _, n := range r.Notices {
		if n.Kind != run.NoticeNotFinite && n.Kind != run.NoticeDiverged {
			continue
		}
		told, err := w.o.Store.PointsPage(ctx, r.ID, "loss", 0, &points.PageCursor{Rank: n.Rank, Step: n.Step - needed*stride}, int(2*needed))
		if err != nil {
			return nil, 0, err
		}
		older = append(older, slices.DeleteFunc(told, func(p points.WorkerPoint) bool { return p.Rank != n.Rank })...)
	}
	losses = slices.Concat(slices.DeleteFunc(older, func(p points.WorkerPoint) bool { return p.Step >= from }), losses)
	slices.SortStableFunc(losses, func(a, b points.WorkerPoint) int {
		return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.Step, b.Step))
	})
	losses = slices.CompactFunc(losses, func(a, b points.WorkerPoint) bool { return a.Rank == b.Rank && a.Step == b.Step })
	return losses, from, nil
}

// strideOf is the steps from one report of a worker to the next, as a rule.
func strideOf(list []points.WorkerPoint) int64 {
	var gaps []int64
	for i := 1; i < len(list); i++ {
		if gap := list[i].Step - list[i-1].Step; gap > 0 {
			gaps = append(gaps, gap)
		}
	}
	if len(gaps) == 0 {
		return 1
	}
	slices.Sort(gaps)
	return gaps[len(gaps)/2]
}

// pastMarks are what workers did after steps, from a step on, by rank and step.
func (w *Watcher) pastMarks(ctx context.Context, r run.Run, from int64) (map[[2]int64]rhythm.Mark, error) {
	done := map[[2]int64]rhythm.Mark{}
	for metric, mark := range map[string]rhythm.Mark{"sync_seconds": rhythm.Sync, "outer_mfu": rhythm.Sync, "val_loss": rhythm.Evaluation, "eval_loss": rhythm.Evaluation} {
		list, err := w.o.Store.PointsPage(ctx, r.ID, metric, from, nil, relearnedPoints)
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
		done[[2]int64{int64(s.Rank), s.Step}] |= rhythm.Checkpoint
	}
	return done, nil
}
