package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/cotrain/cotrain/internal/client"
)

type whoamiCmd struct {
	Remote `embed:""`
}

// Run says who the console takes the caller for.
func (c *whoamiCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	a, err := cl.Account(ctx)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(a)
	}
	t := p.table()
	t.row("User", a.Name)
	if a.Administrator {
		t.row("Role", "administrator")
	}
	for _, project := range slices.Sorted(maps.Keys(a.Roles)) {
		t.row("Role", fmt.Sprintf("%s in %s", a.Roles[project], project))
	}
	if k := a.Token; k != nil {
		t.row("Token", fmt.Sprintf("%s (%s)", k.Name, k.ID))
		t.row("Scopes", scopeList(k.Scopes))
		t.row("Project", cmp.Or(k.Project, "all"))
		t.row("Expires", p.until(k.ExpiresAt))
	}
	return t.flush()
}
