package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

func TestAChangeThatCannotBeLoggedIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	if err := s.LimitPages(t.Context(), 1); err != nil { // SQLite makes that the present size
		t.Fatal(err)
	}
	for i := 0; ; i++ { // the last page has room for some
		err := s.Audit.AppendAlone(t.Context(), audit.Entry{Action: "login", Reason: strings.Repeat("x", 900)})
		if err != nil && !errors.Is(err, fault.ErrFull) || i > 1000 {
			t.Fatal(i, err)
		}
		if err != nil {
			break
		}
	}
	ctx, p := audit.Begin(t.Context(), audit.Entry{Action: "runs.submit", Reason: strings.Repeat("x", 900)})
	if _, _, err := s.CreateRun(ctx, newRun("r-0000000003"), "", run.Event{RunID: "r-0000000003"}); !errors.Is(err, fault.ErrFull) || p.Recorded() {
		t.Errorf("a run is made: %v, logged %t", err, p.Recorded())
	}
	if err := s.LimitPages(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context(), "r-0000000003"); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("the run that could not be logged: %v", err)
	}
	ctx, p = audit.Begin(t.Context(), audit.Entry{Action: "runs.submit"})
	if _, _, err := s.CreateRun(ctx, newRun("r-0000000003"), "", run.Event{RunID: "r-0000000003"}); err != nil || !p.Recorded() {
		t.Errorf("with room again: %v", err)
	}
}
