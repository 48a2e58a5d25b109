package api

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

// CauseRules is the site's rules of diagnosis, as who asks may see and change them.
type CauseRules interface {
	CauseRules(ctx context.Context) (run.CauseRules, error)
	SaveCauseRules(ctx context.Context, text string, revision int64) (run.CauseRules, error)
	TryCauseRules(ctx context.Context, text string, limit int) (run.CauseTrials, error)
}

func (s *server) getCauseRules(ctx context.Context, _ *struct{}) (run.CauseRules, error) {
	out, err := s.Causes.CauseRules(ctx)
	out.Rules = notNil(out.Rules)
	return out, err
}

type causeRulesInput struct{ Body client.CauseRulesInput }

func (s *server) saveCauseRules(ctx context.Context, in *causeRulesInput) (run.CauseRules, error) {
	out, err := s.Causes.SaveCauseRules(ctx, in.Body.Text, in.Body.Revision)
	out.Rules = notNil(out.Rules)
	return out, err
}

type causeTrialInput struct{ Body client.CauseTrialInput }

func (s *server) tryCauseRules(ctx context.Context, in *causeTrialInput) (run.CauseTrials, error) {
	out, err := s.Causes.TryCauseRules(ctx, in.Body.Text, in.Body.Limit)
	out.Trials = notNil(out.Trials)
	return out, err
}
