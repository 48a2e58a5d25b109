package cli

import (
	"context"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/client"
)

type tokenRevokeCmd struct {
	Remote `embed:""`
	ID     access.TokenID `arg:"" help:"ID of the token, as in the list."`
	For    string         `placeholder:"USER" help:"Of a user or service account, instead of yours; for administrators."`
}

// Run revokes the token.
func (c *tokenRevokeCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	revoke := cl.RevokeToken
	if c.For != "" {
		revoke = func(ctx context.Context, id access.TokenID) error { return cl.RevokeUserToken(ctx, c.For, id) }
	}
	if err := revoke(ctx, c.ID); err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(map[string]access.TokenID{"revoked": c.ID})
	}
	return p.print("%s  revoked\n", p.text(string(c.ID)))
}
