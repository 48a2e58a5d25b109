package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// reconcile compares one run with Nomad, and stores and publishes the differences. One at a time per run.
func (w *Watcher) reconcile(ctx context.Context, id run.ID) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := w.compare(ctx, id)
	switch {
	case err == nil, errors.Is(err, fault.ErrNotFound), ctx.Err() != nil:
	case errors.Is(err, fault.ErrUnavailable):
		w.o.Logger.Debug("compare with Nomad", "run", id, "err", err)
	default:
		w.o.Logger.Warn("compare with Nomad", "run", id, "err", err)
	}
}

func (w *Watcher) compare(ctx context.Context, id run.ID) error {
	attempts, err := w.o.Store.Attempts(ctx, id)
	if err != nil || len(attempts) == 0 {
		return err
	}
	attempt := attempts[len(attempts)-1]
	if attempt.JobID == "" || !attempt.EndedAt.IsZero() {
		return nil // not dispatched yet, or ended
	}
	found, job, err := w.o.Cluster.Workers(ctx, attempt.JobID)
	if err != nil {
		return err
	}
	for i := range found {
		found[i].RunID, found[i].Attempt = id, attempt.Number
	}
	obs := run.Observation{Workers: nomad.NewestPerRank(found), Found: job.Found, Stopped: job.Stopped, Dead: job.Status == "dead"}
	for _, wk := range found {
		w.o.Logs.Follow(wk)
	}
	why := ""
	if job.Found && !job.Stopped {
		if why, err = w.whyPending(ctx, id, attempt, obs.Workers); err != nil {
			return err
		}
	}
	c := change{w: w, attempt: attempt, found: found, obs: obs, why: why, drained: w.drained(id, found)}
	if err := c.listen(ctx, id); err != nil {
		return err
	}
	if err := c.explain(ctx, id); err != nil {
		return err
	}
	if err := c.observe(ctx, id); err != nil {
		return err
	}
	if c.drained && len(found) > 0 && !slices.ContainsFunc(found, func(wk run.Worker) bool { return !wk.State.Terminal() }) {
		// Final numbers first, so whoever sees the final state sees them too.
		if err := w.o.Logs.Flush(ctx, id); err != nil {
			return err
		}
		if c.cause, err = w.cause(ctx, id, attempt, nomad.NewestPerRank(c.found)); err != nil {
			return err
		}
		if c.policed, c.by, err = w.policed(ctx, id, attempt, nomad.NewestPerRank(c.found)); err != nil {
			return err
		}
		if c.reports, err = w.o.Store.SavedCheckpoints(ctx, id); err != nil {
			return err
		}
	}
	if err := c.saved(ctx, id); err != nil {
		return err
	}
	u, err := w.o.Store.Update(ctx, id, c.apply)
	if err != nil {
		return err
	}
	if c.moved {
		w.o.Publisher.Publish(feed.RunTopic(id), feed.Workers, u.Workers)
	}
	if c.moved || c.changed || c.noticed || len(u.Events) > 0 {
		w.o.Publisher.PublishRun(u.Run, u.Events...)
	}
	return w.follow(ctx, u, c)
}

// listen adds what the logs of ended workers report.
func (c *change) listen(ctx context.Context, id run.ID) error {
	if !slices.ContainsFunc(c.found, func(w run.Worker) bool { return w.State.Terminal() }) {
		return nil
	}
	told, err := c.w.o.Store.ExitReports(ctx, id)
	if err != nil {
		return err
	}
	for i := range c.found {
		c.found[i].Report = told[c.found[i].AllocID]
	}
	return nil
}

// whyPending says why workers are missing or pending, "" if none are.
func (w *Watcher) whyPending(ctx context.Context, id run.ID, a run.Attempt, ws []run.Worker) (string, error) {
	r, err := w.o.Store.Run(ctx, id)
	if err != nil || len(ws) >= r.Shape.Nodes && !slices.ContainsFunc(ws, func(w run.Worker) bool { return w.State == run.WorkerPending }) {
		return "", err
	}
	why, err := w.o.Cluster.WhyPending(ctx, a.JobID)
	if why == "" && err == nil {
		why = nomad.WhyStarting(ws)
	}
	return why, err
}

// drained reports whether these workers' logs are stored, or have had their time.
func (w *Watcher) drained(id run.ID, ws []run.Worker) bool {
	for _, wk := range ws {
		if wk.Started && !w.o.Logs.Drained(wk.AllocID) {
			w.mu.Lock()
			defer w.mu.Unlock()
			since, ok := w.ended[id]
			return ok && w.o.Now().Sub(since) > drainTimeout
		}
	}
	return true
}

// change is a comparison being stored.
type change struct {
	w       *Watcher
	attempt run.Attempt
	found   []run.Worker
	obs     run.Observation
	why     string
	drained bool
	unread  bool                  // the log of a worker that ended is not stored yet
	cause   *run.Cause            // of the workers that failed, once all have ended
	policed *run.Cause            // of an attempt that the run's policy ended, then
	by      run.NoticeKind        // what the policy is about
	reports []run.SavedCheckpoint // the workers' own
	whole   run.ResumePoint       // the attempt's newest complete checkpoint, of a run that is being paused
	next    run.Continuation      // what that would continue from
	notices []run.Notice
	pace    run.Pace
	back    []run.SavedCheckpoint // what a rollback chooses from

	outcome
}

// outcome is what [change.apply] found.
type outcome struct {
	moved   bool   // a worker changed
	waiting bool   // ended, but logs are not stored yet
	changed bool   // state or reason changed
	again   bool   // the attempt is over, and the run is not
	level   string // of the event that says so
	told    string // what that says, "" for the reason
	noticed bool   // notices changed
}

// apply changes the run. The store may call it again, with the run as it is then.
func (c *change) apply(u *store.Update) error {
	now := c.w.o.Now()
	c.outcome, c.obs.Workers = outcome{}, nomad.NewestPerRank(c.found)
	r := &u.Run
	if r.Attempt != c.attempt.Number || u.Attempt.JobID != c.attempt.JobID {
		return fmt.Errorf("run %s moved on to another attempt: %w", r.ID, fault.ErrConflict)
	}
	explained := c.workers(u, now)
	for _, wk := range explained {
		r.LearnOfLoss(u.Attempt, wk, c.w.o.Rules.RetryRules())
	}
	before, reason := r.State, r.Reason
	state, why := r.Derive(c.obs)
	if state == run.Pending {
		why = c.pending(u, now)
	}
	if state.Terminal() {
		c.order(u) // a returning worker must not go on alone
		if !c.drained {
			c.waiting = true
			return nil
		}
	}
	// A quick worker may never be seen running; its history has that state all the same.
	if before == run.Pending && (state == run.Succeeded || state == run.Degraded || state == run.Failed) && anyStarted(u.Workers) {
		if err := c.move(u, run.Running, "", firstStart(u.Workers, now)); err != nil {
			return err
		}
	}
	state, why = c.given(u, state, why)
	state, why = c.followed(u, state, why, now)
	if state == run.Running || state == run.Degraded || state == run.Pending {
		if ev := r.PauseGone(r.Gone(c.obs.Workers), now); ev != nil {
			u.Events = append(u.Events, *ev)
		}
		why = r.PauseReason(why)
	}
	if err := c.move(u, state, why, now); err != nil {
		return err
	}
	if r.State.Terminal() || c.again {
		u.Attempt.EndedAt = now
	}
	doomed := r.Doomed(c.obs, now)
	if doomed != "" && r.State.Live() && r.State != run.Stopping {
		if err := u.Record(r.StopWorkers(run.StopDoomed, doomed, now)); err != nil {
			return err
		}
	}
	if err := c.recall(u, now); err != nil {
		return err
	}
	if err := c.pause(u, now); err != nil {
		return err
	}
	if err := c.expire(u, now); err != nil {
		return err
	}
	if err := c.act(u, now); err != nil {
		return err
	}
	if r.StopRequested || doomed != "" || r.State == run.Stopping && (r.StopCause.Next() != "" || r.StopCause.Fails()) { // in case Nomad has forgotten it
		c.order(u)
	}
	c.changed = r.State != before || r.Reason != reason
	for _, wk := range explained {
		u.Events = append(u.Events, lossEvent(r, c.obs.Workers, wk, now))
	}
	return nil
}

// failure is the attempt as one that failed.
func (c *change) failure(why string) run.Failure {
	return run.Failure{Observation: c.obs, Cause: c.cause, Why: why, Saved: c.reports, Resume: c.attempt.Resume}
}

// order orders Nomad to stop the rest of the attempt.
func (c *change) order(u *store.Update) {
	if c.obs.Found && !c.obs.Stopped && !c.obs.Dead {
		u.StopJob()
	}
}

// expire stops a run that exceeds its maximum duration.
func (c *change) expire(u *store.Update, now time.Time) error {
	r := &u.Run
	if r.StopRequested || !r.State.Live() || !r.Expired(now) {
		return nil
	}
	return u.Stop(run.Console, run.StopExpired, now)
}

// move changes the run's state, by Nomad as actor except where another attempt may follow.
func (c *change) move(u *store.Update, to run.State, why string, at time.Time) error {
	actor := run.Nomad
	if c.again {
		actor = run.Console
	}
	ev, err := u.Run.Transition(to, actor, why, at)
	if ev != nil && c.again {
		ev.Level, ev.Message = cmp.Or(c.level, "warning"), cmp.Or(c.told, ev.Message) // an attempt failed
	}
	return u.Record(ev, err)
}

func anyStarted(ws []run.Worker) bool {
	return slices.ContainsFunc(ws, func(w run.Worker) bool { return w.Started })
}

func firstStart(ws []run.Worker, fallback time.Time) time.Time {
	out := fallback
	for _, wk := range ws {
		if !wk.StartedAt.IsZero() && wk.StartedAt.Before(out) {
			out = wk.StartedAt
		}
	}
	return out
}

// workers merges Nomad's list into the stored workers, and returns those that have a cause now. Those that Nomad has forgotten stay as they were.
func (c *change) workers(u *store.Update, now time.Time) (explained []run.Worker) {
	index := map[string]int{}
	for i, wk := range u.Workers {
		index[wk.AllocID] = i
	}
	for _, wk := range c.found {
		i, ok := index[wk.AllocID]
		if wk.State == run.WorkerUnknown {
			since := now
			if ok && !u.Workers[i].UnknownSince.IsZero() {
				since = u.Workers[i].UnknownSince
			}
			c.disconnected(&wk, since, now)
		}
		if !ok {
			u.Workers = append(u.Workers, wk)
			c.moved = true
			u.Events = append(u.Events, workerEvent(wk, now))
			if wk.Cause != nil {
				explained = append(explained, wk)
			}
			continue
		}
		old := u.Workers[i]
		if wk.Cause == nil {
			wk.Cause = old.Cause
		} else if old.Cause == nil {
			explained = append(explained, wk)
		}
		if old.State != wk.State || old.Started != wk.Started || corrected(old, wk) {
			u.Events = append(u.Events, workerEvent(wk, now))
		}
		c.moved = c.moved || !sameWorker(old, wk)
		u.Workers[i] = wk
	}
	slices.SortStableFunc(u.Workers, func(a, b run.Worker) int { return a.Rank - b.Rank })
	running := 0
	for _, wk := range c.obs.Workers {
		if wk.State == run.WorkerRunning {
			running++
		}
	}
	c.moved = c.moved || u.Run.Progress.Participants != running
	u.Run.Progress.Participants = running
	return explained
}

// disconnected records since when a worker's node is gone, and gives the worker up after lostAfter.
func (c *change) disconnected(wk *run.Worker, since, now time.Time) {
	wk.UnknownSince = since
	if now.Sub(since) < lostAfter {
		return
	}
	wk.State, wk.EndedAt, wk.Detail = run.WorkerLost, since.Add(lostAfter), "its node has been disconnected for "+lostAfter.String()
	for i := range c.obs.Workers {
		if c.obs.Workers[i].AllocID == wk.AllocID {
			c.obs.Workers[i] = *wk
		}
	}
}

// corrected reports whether the log names another cause of the worker's end than before.
func corrected(old, wk run.Worker) bool {
	code, signal := old.Exit()
	newCode, newSignal := wk.Exit()
	return wk.State.Terminal() && (code != newCode || signal != newSignal)
}

func sameWorker(a, b run.Worker) bool {
	return a.State == b.State && a.Started == b.Started && a.Stopping == b.Stopping && a.Detail == b.Detail && a.NodeName == b.NodeName &&
		a.Exited == b.Exited && a.ExitCode == b.ExitCode && a.Report == b.Report && (a.Cause == nil) == (b.Cause == nil) && slices.Equal(a.GPUs, b.GPUs)
}

func workerEvent(wk run.Worker, now time.Time) run.Event {
	where := ""
	if wk.NodeName != "" {
		where = " on " + wk.NodeName
	}
	msg := fmt.Sprintf("worker %d %s%s", wk.Rank, wk.State, where)
	at, level := now, "info"
	switch {
	case wk.State == run.WorkerRunning:
		at = orNow(wk.StartedAt, now)
	case wk.OK():
		msg, at = fmt.Sprintf("worker %d ended%s", wk.Rank, where), orNow(wk.EndedAt, now)
	case wk.State.Terminal():
		msg, at = wk.Failure(), orNow(wk.EndedAt, now)
		if !wk.Stopping || wk.State != run.WorkerComplete {
			level = "error"
		}
	case wk.State == run.WorkerPending:
		msg = fmt.Sprintf("worker %d placed%s", wk.Rank, where)
	}
	return run.Event{RunID: wk.RunID, At: at, Kind: "worker", Level: level, Actor: run.Nomad, Attempt: wk.Attempt, Rank: wk.Rank, Message: msg}
}

func orNow(t, now time.Time) time.Time {
	if t.IsZero() {
		return now
	}
	return t
}

// follow does what a stored change calls for.
func (w *Watcher) follow(ctx context.Context, u store.Update, c change) error {
	id := u.Run.ID
	switch {
	case c.waiting:
		w.mu.Lock()
		if _, ok := w.ended[id]; !ok {
			w.ended[id] = w.o.Now()
		}
		w.mu.Unlock()
		time.AfterFunc(again, func() { w.ReconcileSoon(id) })
		return nil
	case c.unread && !c.again && !u.Run.State.Terminal():
		time.AfterFunc(again, func() { w.ReconcileSoon(id) })
		return nil
	case u.Run.State.Terminal() || c.again:
		w.mu.Lock()
		delete(w.ended, id)
		w.mu.Unlock()
		w.o.Logs.Forget(id)
		w.vitals.forget(id)
		if w.o.Machines != nil {
			w.o.Machines.Forget(id)
		}
		w.o.Released(id)
	}
	return nil
}
