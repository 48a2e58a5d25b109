package guard

import (
	"context"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/run"
)

// CauseRules keeps a site's rules of diagnosis.
type CauseRules interface {
	CauseRules(ctx context.Context) (run.CauseRules, error)
	SaveCauseRules(ctx context.Context, text string, revision int64) (run.CauseRules, error)
	TryCauseRules(ctx context.Context, text string, limit int) (run.CauseTrials, error)
}

// actionSaveCauseRules is what the audit log calls a change of the rules.
const actionSaveCauseRules = "causes.save"

// SiteRules is a site's rules of diagnosis for administrators, who see failures of all projects with them.
type SiteRules struct {
	g     *Guard
	rules CauseRules
}

// SiteRules returns the rules of diagnosis as who asks may see and change them.
func (g *Guard) SiteRules(rules CauseRules) SiteRules { return SiteRules{g, rules} }

// CauseRules returns the rules.
func (x SiteRules) CauseRules(ctx context.Context) (run.CauseRules, error) {
	if err := x.g.anywhere(ctx, access.CausesManage); err != nil {
		return run.CauseRules{}, err
	}
	return x.rules.CauseRules(ctx)
}

// TryCauseRules tries rules on past failures; nothing is changed.
func (x SiteRules) TryCauseRules(ctx context.Context, text string, limit int) (run.CauseTrials, error) {
	if err := x.g.anywhere(ctx, access.CausesManage); err != nil {
		return run.CauseTrials{}, err
	}
	return x.rules.TryCauseRules(ctx, text, limit)
}

// SaveCauseRules has rules take effect.
func (x SiteRules) SaveCauseRules(ctx context.Context, text string, revision int64) (run.CauseRules, error) {
	if err := x.g.anywhere(ctx, access.CausesManage); err != nil {
		return run.CauseRules{}, err
	}
	e := x.g.entry(ctx, access.CausesManage, "", access.Subject{})
	e.Action, e.Subject = actionSaveCauseRules, "cause-rules"
	ctx, _ = audit.Begin(ctx, e)
	return x.rules.SaveCauseRules(ctx, text, revision)
}
