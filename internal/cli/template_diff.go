package cli

import (
	"context"
	"strings"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
)

type templateDiffCmd struct {
	Remote    `embed:""`
	InProject `embed:""`
	A         string `arg:"" placeholder:"NAME[@N]" help:"Template."`
	B         string `arg:"" optional:"" help:"Template, run or preset to compare it with. Without it, what A changed of the version before it."`
}

// Run prints how a template differs.
func (c *templateDiffCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if c.B != "" {
		return p.diff(ctx, cl, c.Format, c.project(p), templateRef(c.A), diffRef(c.B))
	}
	t, err := readTemplate(ctx, cl, c.project(p), c.A)
	if err != nil {
		return err
	}
	switch t.Version {
	case 0:
		return fault.Usage(t.Name+" is a preset, which has no versions", "say what to compare it with")
	case 1:
		return fault.Usage(t.Ref()+" is the first version", "say what to compare it with")
	}
	before := t
	before.Version--
	return p.diff(ctx, cl, c.Format, t.Project, "template:"+before.Ref(), "template:"+t.Ref())
}

// templateRef is a template or a preset as the console takes it in a comparison.
func templateRef(typed string) string {
	if strings.HasPrefix(typed, "template:") || strings.HasPrefix(typed, "preset:") {
		return typed
	}
	return "template:" + typed
}
