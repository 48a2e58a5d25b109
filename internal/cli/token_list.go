package cli

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/client"
)

type tokenListCmd struct {
	Remote `embed:""`
	For    string `placeholder:"USER" help:"Of a user or service account, instead of yours; for administrators."`
}

// Run lists tokens.
func (c *tokenListCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	read := cl.Tokens
	if c.For != "" {
		read = func(ctx context.Context) (client.TokenList, error) { return cl.UserTokens(ctx, c.For) }
	}
	list, err := read(ctx)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(list)
	}
	t := p.table("ID", "NAME", "SCOPES", "PROJECT", "EXPIRES", "USED")
	for _, k := range list.Items {
		t.row(string(k.ID), short(k.Name, 60), scopeList(k.Scopes), cmp.Or(k.Project, "all"), p.until(k.ExpiresAt), p.ago(k.UsedAt))
	}
	return t.flush()
}

func scopeList(scopes []access.Scope) string {
	names := make([]string, len(scopes))
	for i, s := range scopes {
		names[i] = string(s)
	}
	return strings.Join(names, ",")
}

// until is a time to come as a person says it.
func (p *process) until(t time.Time) string {
	switch left := t.Sub(p.now()); {
	case t.IsZero():
		return "never"
	case left <= 0:
		return "expired"
	default:
		return "in " + age(left)
	}
}
