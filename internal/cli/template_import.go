package cli

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

type templateImportCmd struct {
	Remote    `embed:""`
	InProject `embed:""`
	File      string `arg:"" placeholder:"FILE" help:"File that \"template export\" made, or any CotrainCore TOML; - reads the standard input."`
	Name      string `help:"Name of the template (that in the file)."`
	Saving    `embed:""`
}

// Run saves a version from a file.
func (c *templateImportCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	data, err := p.readText(c.File, c.File, trainconf.MaxTOML, "check that it is a template")
	if err != nil {
		return err
	}
	name := c.Name
	if name == "" {
		t, _ := trainconf.ImportTemplate(data) // what is wrong with it the console tells
		name = t.Name
	}
	if name == "" {
		return fault.Usage(c.File+" does not say the name of a template", "give it one with --name")
	}
	if f := run.CheckTemplateName(name); f != nil {
		return run.FieldErrors{*f}
	}
	return c.save(ctx, p, cl, c.Format, c.project(p), name, client.TemplateInput{Text: string(data)})
}
