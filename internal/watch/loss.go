package watch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// explainedAtOnce is how many workers one comparison explains; those that are left are explained by the next ones, up to diagnosed.
const explainedAtOnce = 4

// explain finds out why workers ended while others of their attempt go on, or finished. The cause of an attempt that failed as a whole is
// [Watcher.cause].
func (c *change) explain(ctx context.Context, id run.ID) error {
	newest := c.obs.Workers
	if !slices.ContainsFunc(newest, func(wk run.Worker) bool { return lost(wk) || wk.State == run.WorkerUnknown }) {
		return nil
	}
	stored, err := c.w.o.Store.AttemptWorkers(ctx, id, c.attempt.Number)
	if err != nil {
		return err
	}
	known, causes := map[string]run.Worker{}, map[string]*run.Cause{}
	for _, wk := range stored {
		known[wk.AllocID] = wk
		if wk.Cause != nil {
			causes[wk.AllocID] = wk.Cause
		}
	}
	over := !slices.ContainsFunc(newest, func(wk run.Worker) bool { return !wk.State.Terminal() })
	failed := over && (newest[0].Rank != 0 || !newest[0].OK())
	left := min(explainedAtOnce, diagnosed-len(causes))
	for _, wk := range newest {
		if old := known[wk.AllocID]; old.State == run.WorkerLost { // given up by the console, see [change.disconnected]
			wk = old
		}
		if causes[wk.AllocID] != nil || failed || left <= 0 || !lost(wk) {
			continue
		}
		if !c.read(wk) {
			c.unread = true
			continue
		}
		if err := c.w.o.Logs.Flush(ctx, id); err != nil {
			return err
		}
		if causes[wk.AllocID], err = c.w.cause(ctx, id, c.attempt, []run.Worker{wk}, besides(newest, wk)...); err != nil {
			return err
		}
		left--
	}
	for i := range c.found {
		c.found[i].Cause = causes[c.found[i].AllocID]
	}
	return nil
}

// besides are the other workers.
func besides(ws []run.Worker, of run.Worker) []run.Worker {
	return slices.DeleteFunc(slices.Clone(ws), func(wk run.Worker) bool { return wk.AllocID == of.AllocID })
}

// lost reports whether a worker ended, neither well nor because it was told to.
func lost(wk run.Worker) bool { return wk.State.Terminal() && !wk.OK() && !wk.Stopping }

// read reports whether the log of an ended worker is stored, or has had its time.
func (c *change) read(wk run.Worker) bool {
	return !wk.Started || c.w.o.Logs.Drained(wk.AllocID) || c.w.o.Now().Sub(wk.EndedAt) > drainTimeout
}

// lossEvent tells why a worker ended, and what the others do.
func lossEvent(r *run.Run, ws []run.Worker, wk run.Worker, now time.Time) run.Event {
	next, _, _ := strings.Cut(r.AfterLoss(ws, wk), ".")
	return run.Event{
		RunID: wk.RunID, At: now, Kind: "cause", Level: "warning", Actor: run.Console, Attempt: wk.Attempt, Rank: wk.Rank,
		Message: fmt.Sprintf("%s: %s %s", run.WorkerName(wk.Rank, wk.NodeName), wk.Cause.Summary, next),
	}
}
