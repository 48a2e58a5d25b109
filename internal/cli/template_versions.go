package cli

import (
	"context"
	"strconv"

	"github.com/cotrain/cotrain/internal/client"
)

type templateVersionsCmd struct {
	Remote    `embed:""`
	InProject `embed:""`
	Name      string `arg:"" help:"Name of the template."`
}

// Run lists versions.
func (c *templateVersionsCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	list, err := cl.TemplateVersions(ctx, c.project(p), c.Name)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(list)
	}
	t := p.table("VERSION", "SAVED", "BY", "NOTE")
	for _, v := range list.Items {
		t.row(strconv.Itoa(v.Version), p.ago(v.CreatedAt), v.Actor, setOr(v.Note))
	}
	return t.flush()
}
