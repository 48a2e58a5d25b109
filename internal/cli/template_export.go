package cli

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

type templateExportCmd struct {
	Remote    `embed:""`
	InProject `embed:""`
	Name      string `arg:"" placeholder:"NAME[@N]" help:"Name of the template, one version of it, or a preset."`
}

// Run prints the file.
func (c *templateExportCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	t, err := readTemplate(ctx, cl, c.project(p), c.Name)
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
