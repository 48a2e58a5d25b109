package cli

import (
	"slices"

	"github.com/cotrain/cotrain/internal/diagnose"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

type explainCmd struct {
	Local `embed:""`
	Code  string `arg:"" optional:"" placeholder:"CODE" help:"Code of an error, such as no_run, or category of a cause, such as cuda_oom; without it, all are listed."`
}

// explained is a category of causes for programs.
type explained struct {
	Category string `json:"category"`
	Title    string `json:"title"`
	Meaning  string `json:"meaning"`
	Advice   string `json:"advice"`
	Help     string `json:"help"`
}

// Run prints what the catalogue of errors and the rules of diagnosis have.
func (c *explainCmd) Run(p *process) error {
	rules, err := diagnose.Builtin()
	if err != nil {
		return err
	}
	if c.Code == "" {
		return c.list(p, rules.Categories())
	}
	kind := fault.Kind(c.Code)
	category := slices.IndexFunc(rules.Categories(), func(k diagnose.Category) bool { return k.Name == c.Code })
	isCategory := category >= 0
	if !isCategory && !kind.Known() {
		return run.FieldErrors{{Field: "CODE", Value: c.Code, Rule: "is no code of an error, and no category of a cause", Fix: `use one that "cotrain explain" lists`}}
	}
	e := kind.Entry()
	var cause explained
	if isCategory {
		k := rules.Categories()[category]
		cause = explained{k.Name, k.Title, k.Meaning, k.Advice, k.Help()}
	}
	if c.Format == "json" {
		var all []any
		if kind.Known() {
			all = append(all, e)
		}
		if isCategory {
			all = append(all, cause)
		}
		return p.printJSON(all)
	}
	if kind.Known() {
		err := p.print("Error %s: %s\n  %s\n  Why: %s\n  What to do: %s\n  On a console: %s\n", string(e.Code), e.Title, e.What, e.Why, e.Fix, e.Help)
		if err != nil || !isCategory {
			return err
		}
	}
	return p.print("Cause %s: %s\n  %s\n  What to do: %s\n  On a console: %s\n", cause.Category, cause.Title, cause.Meaning, cause.Advice, cause.Help)
}

// list prints a line for each code.
func (c *explainCmd) list(p *process, categories []diagnose.Category) error {
	if c.Format == "json" {
		var all struct {
			Errors []fault.Entry `json:"errors"`
			Causes []explained   `json:"causes"`
		}
		for _, k := range fault.Kinds() {
			all.Errors = append(all.Errors, k.Entry())
		}
		for _, k := range categories {
			all.Causes = append(all.Causes, explained{k.Name, k.Title, k.Meaning, k.Advice, k.Help()})
		}
		return p.printJSON(all)
	}
	t := p.table("CODE", "OF", "TITLE")
	for _, k := range fault.Kinds() {
		t.row(string(k), "error", k.Entry().Title)
	}
	for _, k := range categories {
		t.row(k.Name, "cause", k.Title)
	}
	return t.flush()
}
