package cli

import (
	"context"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/client"
)

type tokenRevokeCmd struct {
	Remote `embed:""`
	ID     access.TokenID `arg:"" help:"ID of the token, as in the list."`
}

// Run revokes the token.
func (c *tokenRevokeCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if err := cl.RevokeToken(ctx, c.ID); err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(map[string]access.TokenID{"revoked": c.ID})
	}
	return p.print("%s  revoked\n", p.text(string(c.ID)))
}
