package cli

import (
	"context"
	"net/http"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

type templateExportCmd struct {
	Remote `embed:""`
	Name   string `arg:"" placeholder:"NAME[@N]" help:"Name of the template, one version of it, or a preset."`
}

// Run prints the file.
func (c *templateExportCmd) Run(ctx context.Context, p *process) error {
	cl, err := p.connect(c.Remote)
	if err != nil {
		return err
	}
	t, err := readTemplate(ctx, cl, c.Name)
	if err != nil {
		return err
	}
	file := string(trainconf.EncodeTemplate(t))
	if c.Format == "json" {
		return p.printJSON(map[string]string{"name": exportName(t), "text": file})
	}
	return p.printText(file)
}

// exportName is a template with its version, which a preset has not.
func exportName(t run.Template) string {
	if t.Version == 0 {
		return t.Name
	}
	return t.Ref()
}

type templateDeleteCmd struct {
	Remote `embed:""`
	Name   string `arg:"" help:"Name of the template."`
	Yes    bool   `help:"Confirms that all its versions are deleted for good."`
}

// Run deletes the template.
func (c *templateDeleteCmd) Run(ctx context.Context, p *process) error {
	if !c.Yes {
		return fault.Usage("deleting template "+c.Name+" removes all its versions for good; runs stay", "add --yes to do it")
	}
	cl, err := p.connect(c.Remote)
	if err != nil {
		return err
	}
	if err := cl.do(ctx, http.MethodDelete, templatePath(c.Name), nil, "", nil); err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(map[string]string{"deleted": c.Name})
	}
	return p.print("%s  deleted\n", p.text(c.Name))
}
