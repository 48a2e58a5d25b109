package cli

import (
	"context"
	"strings"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

type diffCmd struct {
	Remote    `embed:""`
	InProject `embed:""`
	A         string `arg:"" help:"Run, template (name or name@2) or preset."`
	B         string `arg:"" help:"What to compare it with."`
}

// Run prints how two configurations differ.
func (c *diffCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	return p.diff(ctx, cl, c.Format, c.project(p), diffRef(c.A), diffRef(c.B))
}

// diffRef is what was typed as the console takes it: the ID of a run, the name of a preset, or else that of a template.
// A kind in front, as in "template:7B", says it.
func diffRef(typed string) string {
	kind, _, found := strings.Cut(typed, ":")
	if found && (kind == "run" || kind == "template" || kind == "preset") {
		return typed
	}
	if _, err := run.ParseID(typed); err == nil {
		return "run:" + typed
	}
	if _, preset := trainconf.PresetByName(typed); preset {
		return "preset:" + typed
	}
	return "template:" + typed
}

func (p *process) diff(ctx context.Context, cl *client.Client, format, project, a, b string) error {
	d, err := cl.Diff(ctx, project, a, b)
	if err != nil {
		return err
	}
	if format == "json" {
		return p.printJSON(d)
	}
	if len(d.Changes) == 0 {
		return p.print("no difference\n")
	}
	t := p.table("FIELD", d.A, d.B)
	for _, change := range d.Changes {
		t.row(change.Field, setOr(change.Before), setOr(change.After))
	}
	return t.flush()
}

// setOr is a value, or a dash where there is none.
func setOr(value string) string {
	if value == "" {
		return "-"
	}
	return value
}
