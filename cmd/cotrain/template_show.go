package main

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/api"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

type templateShowCmd struct {
	Remote `embed:""`
	Name   string `arg:"" placeholder:"NAME[@N]" help:"Name of the template, or one version of it."`
}

// Run shows a template.
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
	rows.row("Template", t.Ref())
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

// readTemplate reads a version of a template by its reference.
func readTemplate(ctx context.Context, cl *client, ref string) (run.Template, error) {
	var t run.Template
	name, query, err := templateQuery(ref)
	if err != nil {
		return t, err
	}
	return t, cl.get(ctx, templatePath(name), query, &t)
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
		return p.diff(ctx, cl, c.Format, "template:"+c.A, diffRef(c.B))
	}
	t, err := readTemplate(ctx, cl, c.A)
	if err != nil {
		return err
	}
	if t.Version == 1 {
		return &usageError{t.Ref() + " is the first version", "say what to compare it with"}
	}
	return p.diff(ctx, cl, c.Format, fmt.Sprintf("template:%s@%d", t.Name, t.Version-1), "template:"+t.Ref())
}
