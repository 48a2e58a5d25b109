package cli

import (
	"context"
	"net/http"
	"strconv"

	"github.com/cotrain/cotrain/internal/api"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Saving is the flags of how a template is saved.
type Saving struct {
	Description *string `placeholder:"TEXT" help:"What the template is for (that of the version before)."`
	Note        string  `placeholder:"TEXT" help:"What this version changes."`
	New         bool    `xor:"when" help:"Only when there is no such template yet."`
	After       int     `xor:"when" placeholder:"N" help:"Only when version N is still the newest one."`
}

// save sends a version, and prints what comes of it.
func (s Saving) save(ctx context.Context, p *process, remote Remote, name string, body api.TemplateInput) error {
	cl, err := p.connect(remote)
	if err != nil {
		return err
	}
	body.Description, body.Note = s.Description, s.Note
	var headers []string
	switch {
	case s.New:
		headers = []string{"If-None-Match", "*"}
	case s.After > 0:
		headers = []string{"If-Match", `"` + strconv.Itoa(s.After) + `"`}
	}
	var t api.SavedTemplate
	if err := cl.send(ctx, http.MethodPut, templatePath(name), body, &t, headers...); err != nil {
		return err
	}
	if remote.Format == "json" {
		return p.printJSON(t)
	}
	p.warn(t.Warnings)
	return p.print("%s\n", p.text(t.Ref()))
}

type templateSaveCmd struct {
	Remote  `embed:""`
	Name    string `arg:"" help:"Name of the template."`
	Begin   `embed:""`
	Changes `embed:""`
	Saving  `embed:""`
}

// Run saves a version.
func (c *templateSaveCmd) Run(ctx context.Context, p *process) error {
	if f := run.CheckTemplateName(c.Name); f != nil {
		return run.FieldErrors{*f}
	}
	src, err := c.source()
	if err != nil {
		return err
	}
	if err := c.begin(p, &src); err != nil {
		return err
	}
	return c.save(ctx, p, c.Remote, c.Name, api.TemplateInput{Source: src})
}

type templateImportCmd struct {
	Remote `embed:""`
	File   string `arg:"" placeholder:"FILE" help:"File that \"template export\" made, or any CotrainCore TOML; - reads the standard input."`
	Name   string `help:"Name of the template (that in the file)."`
	Saving `embed:""`
}

// Run saves a version from a file.
func (c *templateImportCmd) Run(ctx context.Context, p *process) error {
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
	return c.save(ctx, p, c.Remote, name, api.TemplateInput{Text: string(data)})
}
