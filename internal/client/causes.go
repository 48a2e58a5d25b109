package client

import (
	"context"
	"net/http"

	"github.com/cotrain/cotrain/internal/run"
)

const causeRulesPath = "/api/v1/causes/rules"

// CauseRulesInput is rules of diagnosis to have take effect.
type CauseRulesInput struct {
	Text     string `json:"text" maxLength:"65536" doc:"TOML of all the site's rules; empty for none"`
	Revision int64  `json:"revision" minimum:"0" doc:"The revision that the text is a change of"`
}

// CauseTrialInput is rules of diagnosis to try.
type CauseTrialInput struct {
	Text  string `json:"text" maxLength:"65536" doc:"TOML of all the site's rules"`
	Limit int    `json:"limit,omitempty" minimum:"1" maximum:"100" default:"20" doc:"How many of the newest failures"`
}

// CauseRules returns the site's rules of diagnosis.
func (c *Client) CauseRules(ctx context.Context) (run.CauseRules, error) {
	return get[run.CauseRules](ctx, c, causeRulesPath, struct{}{})
}

// SaveCauseRules has rules take effect.
func (c *Client) SaveCauseRules(ctx context.Context, in CauseRulesInput) (out run.CauseRules, err error) {
	return out, c.send(ctx, http.MethodPut, causeRulesPath, in, &out)
}

// TryCauseRules says what rules would have said of past failures.
func (c *Client) TryCauseRules(ctx context.Context, in CauseTrialInput) (out run.CauseTrials, err error) {
	return out, c.send(ctx, http.MethodPost, causeRulesPath+"/try", in, &out)
}
