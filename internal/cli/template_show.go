package cli

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/api"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

type templateShowCmd struct {
	Remote `embed:""`
	Name   string `arg:"" placeholder:"NAME[@N]" help:"Name of the template, one version of it, or a preset."`
}

// Run shows a template or a preset.
func (c *templateShowCmd) Run(ctx context.Context, p *process) error {
	cl, err := p.connect(c.Remote)
	if err != nil {
		return err
	}
	t, err := readTemplate(ctx, cl, c.Name)
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
	rows.pairs("Description", t.Description, "Note", t.Note, "Saved", p.when(t.CreatedAt), "By", t.Actor, "Shape", t.Shape.String())
	rows.options(t.Options)
	if err := rows.flush(); err != nil {
		return err
	}
	return p.printText("\n" + t.Config)
}

// pairs writes names with their values, but those without.
func (t *table) pairs(namesAndValues ...string) {
	for i := 0; i+1 < len(namesAndValues); i += 2 {
		if namesAndValues[i+1] != "" {
			t.row(namesAndValues[i], namesAndValues[i+1])
		}
	}
}

// options writes what is set of a run's options, but its description.
func (t *table) options(o run.Options) {
	req := trainconf.Request{Options: o}
	t.pairs("Tags", req.Get("tags"), "Priority", req.Get("priority"), "Max duration", req.Get("max_duration"), "Retries", req.Get("retries"))
	for _, name := range slices.Sorted(maps.Keys(o.Env)) {
		t.row("Environment", name+"="+o.Env[name])
	}
	t.pairs("Arguments", strings.Join(o.Args, " "), "Secrets", o.Secrets)
}

// readTemplate reads a version of a template, or a preset as version 0 of one, by what diff and list call it: "mine", "mine@2",
// "template:mine", "debug" or "preset:debug".
func readTemplate(ctx context.Context, cl *client, ref string) (run.Template, error) {
	var t run.Template
	kind, typed, found := strings.Cut(ref, ":")
	if found && (kind == "template" || kind == "preset") {
		ref = typed
	}
	if _, known := trainconf.PresetByName(ref); kind == "preset" || known && kind != "template" {
		return readPreset(ctx, cl, ref)
	}
	name, query, err := templateQuery(ref)
	if err != nil {
		return t, err
	}
	return t, cl.get(ctx, templatePath(name), query, &t)
}

// readPreset reads a preset as a template without a version.
func readPreset(ctx context.Context, cl *client, name string) (run.Template, error) {
	var presets struct{ Items []preset }
	if err := cl.get(ctx, "/api/v1/presets", nil, &presets); err != nil {
		return run.Template{}, err
	}
	var names []string
	for _, p := range presets.Items {
		if strings.EqualFold(p.Name, name) {
			return run.Template{Name: p.Name, Description: p.Description, Config: p.Config, Shape: p.Shape}, nil
		}
		names = append(names, p.Name)
	}
	if near := trainconf.Near(name, names); len(near) > 0 {
		names = near
	}
	return run.Template{}, fault.New(fault.ErrNoPreset, fmt.Sprintf("No preset is called %q.", name), "Use one of "+strings.Join(names, ", ")+".")
}

// templateQuery is the name in a reference, and its version as the API takes it.
func templateQuery(ref string) (name string, query url.Values, err error) {
	name, version, ok := api.SplitTemplate(ref)
	if !ok {
		return "", nil, run.NoTemplate(ref, 0)
	}
	return name, url.Values{"version": {strconv.Itoa(version)}}, nil
}

type templateVersionsCmd struct {
	Remote `embed:""`
	Name   string `arg:"" help:"Name of the template."`
}

// Run lists versions.
func (c *templateVersionsCmd) Run(ctx context.Context, p *process) error {
	cl, err := p.connect(c.Remote)
	if err != nil {
		return err
	}
	var list struct {
		Items []run.Template `json:"items"`
	}
	if err := cl.get(ctx, templatePath(c.Name)+"/versions", nil, &list); err != nil {
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

// templateRef is a template or a preset as the console takes it in a comparison.
func templateRef(typed string) string {
	if strings.HasPrefix(typed, "template:") || strings.HasPrefix(typed, "preset:") {
		return typed
	}
	return "template:" + typed
}

type templateDiffCmd struct {
	Remote `embed:""`
	A      string `arg:"" placeholder:"NAME[@N]" help:"Template."`
	B      string `arg:"" optional:"" help:"Template, run or preset to compare it with. Without it, what A changed of the version before it."`
}

// Run prints how a template differs.
func (c *templateDiffCmd) Run(ctx context.Context, p *process) error {
	cl, err := p.connect(c.Remote)
	if err != nil {
		return err
	}
	if c.B != "" {
		return p.diff(ctx, cl, c.Format, templateRef(c.A), diffRef(c.B))
	}
	t, err := readTemplate(ctx, cl, c.A)
	if err != nil {
		return err
	}
	switch t.Version {
	case 0:
		return fault.Usage(t.Name+" is a preset, which has no versions", "say what to compare it with")
	case 1:
		return fault.Usage(t.Ref()+" is the first version", "say what to compare it with")
	}
	return p.diff(ctx, cl, c.Format, fmt.Sprintf("template:%s@%d", t.Name, t.Version-1), "template:"+t.Ref())
}
