package guard_test

import (
	"context"
	"errors"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// savedRules tells of the entry with which rules are saved.
type savedRules struct{ pending *audit.Pending }

func (s *savedRules) CauseRules(context.Context) (run.CauseRules, error) {
	return run.CauseRules{Revision: 1}, nil
}

func (s *savedRules) SaveCauseRules(ctx context.Context, _ string, _ int64) (run.CauseRules, error) {
	s.pending = audit.Of(ctx)
	return run.CauseRules{Revision: 2}, nil
}

func (s *savedRules) TryCauseRules(context.Context, string, int) (run.CauseTrials, error) {
	return run.CauseTrials{Found: 1}, nil
}

func TestRulesOfCausesAreForAdministratorsAndAudited(t *testing.T) {
	t.Parallel()
	g, _ := newGuard(t)
	saved := &savedRules{}
	rules := g.SiteRules(saved)
	boss := access.With(t.Context(), access.Identity{User: "u-boss", Name: "boss", Administrator: true})
	ann := access.With(t.Context(), access.Identity{User: "u-ann", Name: "ann", Roles: map[string]access.Role{theirs: access.Admin}})
	for _, c := range []struct {
		ctx  context.Context
		want error
	}{{boss, nil}, {ann, fault.ErrForbidden}, {t.Context(), fault.ErrSignedOut}} {
		saved.pending = nil
		read, err1 := rules.CauseRules(c.ctx)
		trials, err2 := rules.TryCauseRules(c.ctx, "", 1)
		_, err3 := rules.SaveCauseRules(c.ctx, "", 1)
		for _, err := range []error{err1, err2, err3} {
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		}
		if allowed := c.want == nil; (saved.pending != nil) != allowed || (read.Revision == 1) != allowed || (trials.Found == 1) != allowed {
			t.Errorf("with %v it gets %+v, %+v, %v", c.want, read, trials, saved.pending)
		}
	}
}

func TestFailuresOnNodesAreThoseOfRunsThatOneMaySee(t *testing.T) {
	t.Parallel()
	g, _ := newGuard(t)
	for project, want := range map[string]bool{theirs: true, "text": false} {
		nodes, err := g.Nodes(access.With(t.Context(), access.Identity{User: "u-ann", Name: "ann", Roles: map[string]access.Role{project: access.Viewer}}))
		if err != nil || len(nodes) != 1 || (nodes[0].Failures != nil) != want {
			t.Errorf("%s: %+v, %v", project, nodes, err)
		}
	}
}
