package cli

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

type causeCmd struct {
	List   causeListCmd   `cmd:"" help:"List the site's own rules that explain failures."`
	Show   causeShowCmd   `cmd:"" help:"Print their TOML, to be changed and saved."`
	Try    causeTryCmd    `cmd:"" help:"Say what rules would have said of past failures; changes nothing."`
	Save   causeSaveCmd   `cmd:"" help:"Have rules explain failures from now on, in place of the site's rules so far."`
	Delete causeDeleteCmd `cmd:"" help:"Remove all rules of the site; the built-in ones stay."`
}

type causeListCmd struct {
	Remote `embed:""`
}

// Run lists the site's rules.
func (c *causeListCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	rules, err := cl.CauseRules(ctx)
	if err != nil {
		return err
	}
	if rules.Problem != "" {
		p.say("the rules are not in effect: %s", rules.Problem)
	}
	if c.Format == "json" {
		return p.printJSON(rules)
	}
	t := p.table("RULE", "CATEGORY", "DOES", "SUMMARY")
	for _, r := range rules.Rules {
		does := "adds"
		switch {
		case r.Off:
			does = "turns off"
		case r.Replaces:
			does = "replaces"
		}
		t.row(r.ID, cmp.Or(r.Category, "-"), does, short(cmp.Or(r.Summary, "-"), 80))
	}
	return t.flush()
}

type causeShowCmd struct {
	Remote `embed:""`
}

// Run prints the rules as they were saved.
func (c *causeShowCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	rules, err := cl.CauseRules(ctx)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(rules)
	}
	return p.printText(rules.Text)
}

// readRules reads a file of rules.
func (p *process) readRules(file string) (string, error) {
	data, err := p.readText("FILE "+file, file, run.MaxCauseRules, "write at least one [[rule]], and remove those that never decide")
	return string(data), err
}

type causeTryCmd struct {
	Remote `embed:""`
	Limit  int    `default:"20" help:"How many of the newest failures: 1 to 100."`
	File   string `arg:"" placeholder:"FILE" help:"Rules, as TOML; - reads the standard input."`
}

// Run tries rules.
func (c *causeTryCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	text, err := p.readRules(c.File)
	if err != nil {
		return err
	}
	out, err := cl.TryCauseRules(ctx, client.CauseTrialInput{Text: text, Limit: c.Limit})
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(out)
	}
	t := p.table("RUN", "ATTEMPT", "NOW", "WITH THESE RULES", "SUMMARY")
	for _, x := range out.Trials {
		if !x.Changed {
			t.row(string(x.Run), strconv.Itoa(x.Attempt), x.Now.Category, "the same", short(x.Now.Summary, 60))
			continue
		}
		t.row(string(x.Run), strconv.Itoa(x.Attempt), x.Now.Category, otherwise(x), short(x.With.Summary, 60))
	}
	if err := t.flush(); err != nil {
		return err
	}
	p.say("%d of %d failures would be explained otherwise", out.Changed, len(out.Trials))
	if out.TimedOut > 0 {
		p.say("%d failures could not be read in time: what these rules would say of them is not known; try fewer with --limit, or make expressions cheaper", out.TimedOut)
	}
	if n := out.Found - out.TimedOut - len(out.Trials); n > 0 {
		p.say("%d failures were deleted meanwhile", n)
	}
	return nil
}

// otherwise is the category that rules give a failure, and what else differs where that does not.
func otherwise(x run.CauseTrial) string {
	switch {
	case x.Now.Category != x.With.Category:
		return x.With.Category
	case x.Now.Rank != x.With.Rank:
		return fmt.Sprintf("of worker %d", x.With.Rank)
	case x.Now.Retryable != x.With.Retryable:
		return map[bool]string{true: "may pass", false: "cannot pass"}[x.With.Retryable]
	}
	return "in other words"
}

type causeSaveCmd struct {
	Remote   `embed:""`
	Revision *int64 `placeholder:"N" help:"Revision that the file is a change of; the newest if left out."`
	File     string `arg:"" placeholder:"FILE" help:"All rules of the site, as TOML; - reads the standard input."`
}

// Run saves rules.
func (c *causeSaveCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	text, err := p.readRules(c.File)
	if err != nil {
		return err
	}
	return p.saveRules(ctx, cl, c.Remote, text, c.Revision)
}

// saveRules saves rules over a revision, the newest if none is given.
func (p *process) saveRules(ctx context.Context, cl *client.Client, r Remote, text string, revision *int64) error {
	if revision == nil {
		now, err := cl.CauseRules(ctx)
		if err != nil {
			return err
		}
		revision = &now.Revision
	}
	saved, err := cl.SaveCauseRules(ctx, client.CauseRulesInput{Text: text, Revision: *revision})
	if err != nil {
		return err
	}
	if r.Format == "json" {
		return p.printJSON(saved)
	}
	return p.print("revision %d  %d rules in effect\n", saved.Revision, len(saved.Rules))
}

type causeDeleteCmd struct {
	Remote `embed:""`
	Yes    bool `help:"Really remove them."`
}

// Run removes the site's rules.
func (c *causeDeleteCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if !c.Yes {
		return fault.Usage("all rules of the site would be removed", "add --yes")
	}
	return p.saveRules(ctx, cl, c.Remote, "", nil)
}
