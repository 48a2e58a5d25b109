package storetest

import (
	"errors"
	"slices"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

func testOrders(t *testing.T, s Store) {
	for _, id := range []string{"r-0000000001", "r-0000000002"} {
		r := create(t, s, id, id)
		_, err := s.Update(t.Context(), r.ID, func(u *store.Update) error {
			u.Run.Attempt = 1
			u.StopJob() // there is none yet
			u.Attempt = run.Attempt{RunID: r.ID, Number: 1, JobID: "p/" + id, CreatedAt: epoch}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	has := func(want ...store.Order) {
		t.Helper()
		if got, err := s.Orders(t.Context()); err != nil || !slices.Equal(got, want) {
			t.Fatalf("orders %+v, %v; want %+v", got, err, want)
		}
	}
	signalled := func() bool {
		select {
		case <-s.NewOrders():
			return true
		default:
			return false
		}
	}
	if has(); signalled() {
		t.Error("it signals orders that there are not")
	}
	stop := func(id run.ID, result error) {
		t.Helper()
		_, err := s.Update(t.Context(), id, func(u *store.Update) error {
			u.StopJob()
			u.Run.StopCause, u.Run.StopReason = run.StopDoomed, "why"
			return result
		})
		if !errors.Is(err, result) {
			t.Fatal(err)
		}
	}
	failed := errors.New("failed")
	stop("r-0000000002", failed)
	if has(); signalled() {
		t.Error("it signals an order that was not stored")
	}
	one, two := store.Order{JobID: "p/r-0000000001", RunID: "r-0000000001"}, store.Order{JobID: "p/r-0000000002", RunID: "r-0000000002"}
	stop("r-0000000002", nil)
	stop("r-0000000002", nil)
	stop("r-0000000001", nil)
	if has(one, two); !signalled() {
		t.Error("nobody is told of the orders")
	}
	if r, err := s.Run(t.Context(), "r-0000000001"); err != nil || r.StopReason != "why" || r.StopCause != run.StopDoomed {
		t.Errorf("it is stopped for %q, %v", r.StopReason, err)
	}
	if err := s.DeleteRun(t.Context(), "r-0000000001"); err != nil {
		t.Fatal(err)
	}
	purge := one
	purge.Purge = true
	if has(two, purge); !signalled() {
		t.Error("nobody is told of the purge")
	}
	_, err := s.Update(t.Context(), two.RunID, func(u *store.Update) error { u.Run.State = run.Running; return u.Kill("me", epoch) })
	must(t, err)
	kill := two
	kill.Kill = true
	has(kill, purge)
	stop("r-0000000002", nil) // changes nothing
	must(t, s.CompleteOrder(t.Context(), two))
	has(kill, purge)
	two = kill
	for _, done := range []store.Order{one, two, purge} {
		if err := s.CompleteOrder(t.Context(), done); err != nil {
			t.Fatal(err)
		}
		if done == one { // was taken, but is a purge by now
			has(two, purge)
		}
	}
	has()
}

func testTold(t *testing.T, s Store) {
	id, other := create(t, s, "r-0000000001", "a").ID, create(t, s, "r-0000000002", "b").ID
	out, errs := batch(id, 0, store.Cursor{}, "out\n"), batch(id, 0, store.Cursor{}, "err\n")
	errs.Stream = "stderr"
	out.To.Report = run.ExitReport{Step: 7}
	errs.To.Report = run.ExitReport{Step: 6, Finished: true}
	must(t, s.Commit(t.Context(), []*store.Batch{out, errs, batch(other, 1, store.Cursor{}, "x\n")}))
	told := func(want run.ExitReport) {
		t.Helper()
		got, err := s.ExitReports(t.Context(), id)
		must(t, err)
		same(t, "told", got, map[string]run.ExitReport{out.AllocID: want})
	}
	told(run.ExitReport{Step: 7, Finished: true})
	cur, err := s.Cursor(t.Context(), out.AllocID, "stderr")
	must(t, err)
	same(t, "the cursor's", cur.Report, errs.To.Report)
	for _, b := range []*store.Batch{out, errs} { // a second batch of each
		next := batch(id, 0, b.To, "more\n")
		next.Stream, next.To.Report = b.Stream, b.To.Report
		next.To.Report.Read = true
		if b == errs {
			next.To.Report.ExitCode, next.To.Report.Why = 127, "no torchrun"
		}
		must(t, s.Commit(t.Context(), []*store.Batch{next}))
		if b == out {
			told(run.ExitReport{Step: 7, Finished: true})
		}
	}
	told(run.ExitReport{Step: 7, Finished: true, Read: true, ExitCode: 127, Why: "no torchrun"})
}
