package store_test

import (
	"errors"
	"testing"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// TestAChangeThatCannotBeLoggedIsRefused has a run deleted, which needs no room itself.
func TestAChangeThatCannotBeLoggedIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	for _, id := range []run.ID{"r-0000000001", "r-0000000002"} {
		r := newRun(id)
		r.State = run.Stopped
		if _, _, err := s.CreateRun(t.Context(), r, "", run.Event{RunID: id}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.LimitPages(t.Context(), 1); err != nil { // SQLite makes that the present size
		t.Fatal(err)
	}
	refused := 0
	for range 200 { // the last page has room for some
		ctx, p := audit.Begin(t.Context(), audit.Entry{Action: "templates.delete", Reason: string(make([]byte, 900))})
		err := s.DeleteTemplate(ctx, "none")
		if !errors.Is(err, fault.ErrNotFound) {
			t.Fatal(err)
		}
		err = s.Audit.AppendAlone(t.Context(), audit.Entry{Action: "login", Reason: string(make([]byte, 900))})
		if err == nil {
			continue
		}
		if !errors.Is(err, fault.ErrFull) || p.Recorded() {
			t.Fatal(err)
		}
		ctx, p = audit.Begin(t.Context(), audit.Entry{Action: "runs.stop", Reason: string(make([]byte, 900))})
		u, err := s.StopSweep(ctx, "s-0000000001", nil)
		if !errors.Is(err, fault.ErrNotFound) || u != nil || p.Recorded() {
			t.Fatal(err)
		}
		_, _, err = s.CreateRun(ctx, newRun("r-0000000003"), "", run.Event{RunID: "r-0000000003"})
		if !errors.Is(err, fault.ErrFull) || p.Recorded() {
			t.Errorf("a run is made: %v, logged %t", err, p.Recorded())
		}
		refused++
		break
	}
	if refused == 0 {
		t.Fatal("the store was never full")
	}
	if err := s.LimitPages(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context(), "r-0000000003"); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("the run that could not be logged: %v", err)
	}
	ctx, p := audit.Begin(t.Context(), audit.Entry{Action: "runs.submit"})
	if _, _, err := s.CreateRun(ctx, newRun("r-0000000003"), "", run.Event{RunID: "r-0000000003"}); err != nil || !p.Recorded() {
		t.Errorf("with room again: %v", err)
	}
}
