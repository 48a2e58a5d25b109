package cli

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

// Saving is the flags of how a template is saved.
type Saving struct {
	Description *string `placeholder:"TEXT" help:"What the template is for (that of the version before)."`
	Note        string  `placeholder:"TEXT" help:"What this version changes."`
	New         bool    `xor:"when" help:"Only when there is no such template yet."`
	After       int     `xor:"when" placeholder:"N" help:"Only when version N is still the newest one."`
}

// save sends a version, and prints what comes of it.
func (s Saving) save(ctx context.Context, p *process, cl *client.Client, format, project, name string, body client.TemplateInput) error {
	body.Description, body.Note = s.Description, s.Note
	after := s.After
	if s.New {
		after = client.NewTemplate
	}
	t, err := cl.SaveTemplate(ctx, project, name, after, body)
	if err != nil {
		return err
	}
	if format == "json" {
		return p.printJSON(t)
	}
	p.warn(t.Warnings)
	return p.print("%s\n", p.text(t.Ref()))
}

type templateSaveCmd struct {
	Remote    `embed:""`
	InProject `embed:""`
	Name      string `arg:"" help:"Name of the template."`
	Start     `embed:""`
	Changes   `embed:""`
	Saving    `embed:""`
}

// Run saves a version.
func (c *templateSaveCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if f := run.CheckTemplateName(c.Name); f != nil {
		return run.FieldErrors{*f}
	}
	src, err := c.source()
	if err != nil {
		return err
	}
	if err := c.apply(p, &src); err != nil {
		return err
	}
	return c.save(ctx, p, cl, c.Format, c.project(p), c.Name, client.TemplateInput{Source: src})
}
