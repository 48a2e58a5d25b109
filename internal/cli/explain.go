package cli

import (
	"slices"
	"strings"

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
	// Retries is how the console retries it, such as "3, after 10s to 40s, on another node".
	Retries string `json:"retries"`
	Help    string `json:"help"`
}

// explainedOf explains a category.
func explainedOf(rules *diagnose.Rules, k diagnose.Category) explained {
	return explained{k.Name, k.Title, k.Meaning, k.Advice, rules.RetryRules().Of(k.Name).String(), k.Help()}
}

// Run prints what the catalogue of errors and the rules of diagnosis have.
func (c *explainCmd) Run(p *process) error {
	rules, err := diagnose.Builtin()
	if err != nil {
		return err
	}
	if c.Code == "" {
		return c.list(p, rules)
	}
	code := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(c.Code)), "-", "_")
	kind := fault.Kind(code)
	category := slices.IndexFunc(rules.Categories(), func(k diagnose.Category) bool { return k.Name == code })
	isCategory := category >= 0
	if !isCategory && !kind.Known() {
		return run.FieldErrors{{Field: "CODE", Value: c.Code, Rule: "is no code of an error, and no category of a cause", Fix: `use one that "cotrain explain" lists`}}
	}
	e := kind.Entry()
	var cause explained
	if isCategory {
		cause = explainedOf(rules, rules.Categories()[category])
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
	return p.print("Cause %s: %s\n  %s\n  What to do: %s\n  Retries without progress: %s\n  On a console: %s\n", cause.Category, cause.Title, cause.Meaning, cause.Advice, cause.Retries, cause.Help)
}

// list prints a line for each code.
func (c *explainCmd) list(p *process, rules *diagnose.Rules) error {
	categories := rules.Categories()
	if c.Format == "json" {
		var all struct {
			Errors []fault.Entry `json:"errors"`
			Causes []explained   `json:"causes"`
		}
		for _, k := range fault.Kinds() {
			all.Errors = append(all.Errors, k.Entry())
		}
		for _, k := range categories {
			all.Causes = append(all.Causes, explainedOf(rules, k))
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
