package cli

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

type templateShowCmd struct {
	Remote    `embed:""`
	InProject `embed:""`
	Name      string `arg:"" placeholder:"NAME[@N]" help:"Name of the template, one version of it, or a preset."`
}

// Run shows a template or a preset.
func (c *templateShowCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	t, err := readTemplate(ctx, cl, c.project(p), c.Name)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(t)
	}
	rows := p.table()
	if t.Version == 0 {
		rows.row("Preset", t.Name)
	} else {
		rows.row("Template", t.Ref())
	}
	rows.pairs("Project", t.Project, "Description", t.Description, "Note", t.Note, "Saved", p.when(t.CreatedAt), "By", t.Actor, "Shape", t.Shape.String())
	rows.options(t.Options)
	if err := rows.flush(); err != nil {
		return err
	}
	return p.printText("\n" + t.Config)
}

// pairs writes names with their values, and skips empty ones.
func (t *table) pairs(namesAndValues ...string) {
	for i := 0; i+1 < len(namesAndValues); i += 2 {
		if namesAndValues[i+1] != "" {
			t.row(namesAndValues[i], namesAndValues[i+1])
		}
	}
}

// options writes the options that are set, except the description.
func (t *table) options(o run.Options) {
	req := trainconf.Request{Options: o}
	t.pairs("Tags", req.Get("tags"), "Priority", req.Get("priority"), "Max duration", req.Get("max_duration"), "Retries", req.Get("retries"), "Retries by cause", req.Get("retry"),
		"On a hang", o.OnHang, "On NaN", o.OnNaN, "On divergence", o.OnDivergence, "On a plateau", o.OnPlateau, "Learning rate after a rollback", times(req.Get("rollback_lr")))
	for _, name := range slices.Sorted(maps.Keys(o.Env)) {
		t.row("Environment", name+"="+o.Env[name])
	}
	t.pairs("Arguments", strings.Join(o.Args, " "), "Secrets", strings.Join(o.Secrets, ", "), "Log in shared storage", o.MirrorLogs)
}

// times is "x 0.5", or nothing.
func times(factor string) string {
	if factor == "" {
		return ""
	}
	return "x " + factor
}

// readTemplate reads a version of a template, or a preset as version 0 of one, by what diff and list call it: "mine", "mine@2",
// "template:mine", "debug" or "preset:debug"; "vision/mine" is one of another project.
func readTemplate(ctx context.Context, cl *client.Client, project, ref string) (run.Template, error) {
	kind, typed, found := strings.Cut(ref, ":")
	if found && (kind == "template" || kind == "preset") {
		ref = typed
	}
	if _, known := trainconf.PresetByName(ref); kind == "preset" || known && kind != "template" {
		return readPreset(ctx, cl, ref)
	}
	named, ok := run.ParseTemplateRef(ref)
	if !ok {
		return run.Template{}, run.NoTemplate(ref, 0)
	}
	named.Project = cmp.Or(named.Project, project)
	return cl.Template(ctx, named)
}

// readPreset reads a preset as a template without a version.
func readPreset(ctx context.Context, cl *client.Client, name string) (run.Template, error) {
	presets, err := cl.Presets(ctx)
	if err != nil {
		return run.Template{}, err
	}
	for _, p := range presets.Items {
		if strings.EqualFold(p.Name, name) {
			return run.Template{Name: p.Name, Description: p.Description, Config: p.Config, Shape: p.Shape}, nil
		}
	}
	return run.Template{}, trainconf.NoPreset(name)
}
