package guard_test

import (
	"errors"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

func TestASweepCountsByItsRuns(t *testing.T) {
	t.Parallel()
	g, behind := newGuard(t)
	who := as(t.Context(), map[string]access.Role{access.DefaultProject: access.Operator})
	list := make([]map[string]string, 500)
	sweep := run.SweepSpec{List: list}
	behind.invalid = run.FieldErrors{{Field: "name", Rule: "is needed"}}
	for range 9 { // what is not valid costs nothing
		if _, err := g.SubmitSweep(who, sweep); !errors.Is(err, fault.ErrInvalid) {
			t.Fatal(err)
		}
	}
	behind.invalid = nil
	for range 4 {
		if _, err := g.SubmitSweep(who, sweep); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := g.SubmitSweep(who, sweep); !errors.Is(err, fault.ErrRateLimited) {
		t.Errorf("2,500 runs at once: %v", err)
	}
	local := access.With(t.Context(), access.Local())
	for range 5 {
		if _, err := g.SubmitSweep(local, sweep); err != nil {
			t.Fatalf("with --dev: %v", err)
		}
	}
}
