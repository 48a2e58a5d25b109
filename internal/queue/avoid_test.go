package queue_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// avoiding is a queued run of one worker whose hardware failed on nodes.
func (r *rig) avoiding(id run.ID, cause run.Cause, nodes ...string) run.ID {
	r.t.Helper()
	r.add(id, 1, 0)
	_, err := r.store.Update(r.t.Context(), id, func(u *store.Update) error {
		u.Attempt = run.Attempt{RunID: id, Number: 1, ParentJob: "p", JobID: "p/dispatch-1", CreatedAt: time.Now(), EndedAt: time.Now()}
		u.Run.Attempt, u.Run.Cause, u.Run.Options.Retries = 1, &cause, 3
		for _, n := range nodes {
			u.Run.Ledger.Strikes = append(u.Run.Ledger.Strikes, run.Strike{NodeID: n, Node: n, Attempt: 1})
		}
		u.Run.Shape.Avoid, _ = u.Run.Ledger.Avoided()
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

func TestARunWaitsForANodeThatItDoesNotAvoid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := working(t, 0)
		r.cluster.SetPlaces(map[string]int{"node-1": 1, "node-2": 1})
		ecc := run.Cause{Category: "ecc_error_xid", Retryable: true, Summary: "A GPU failed."}
		first := r.avoiding("r-0000000010", ecc, "node-1")
		r.queue.Wake()
		synctest.Wait()
		if got := r.get(first); got.State != run.Pending || got.Shape.Avoid != "node-1" {
			t.Fatalf("with room elsewhere it is %s: %s", got.State, got.Reason)
		}
		r.place(first, 0) // on node-1, as far as this Nomad tells
		r.cluster.SetPlaces(map[string]int{"node-1": 2, "node-2": 0})
		second := r.avoiding("r-0000000011", ecc, "node-1")
		r.queue.Changed()
		r.queue.Wake()
		time.Sleep(time.Minute)
		got := r.get(second)
		if got.State != run.Pending || got.Shape.Avoid != "" {
			t.Errorf("where only that node can hold it, it is %s, avoiding %q: %s", got.State, got.Shape.Avoid, got.Reason)
		}
		evs, err := r.store.Events(t.Context(), second, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		told := false
		for _, ev := range evs {
			told = told || ev.Kind == "retry" && ev.Message == "no other node can hold it now, so it may run on node-1 again"
		}
		if !told {
			t.Errorf("its history does not say so: %+v", evs)
		}
	})
}
