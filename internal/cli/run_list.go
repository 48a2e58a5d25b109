package cli

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

type runListCmd struct {
	Remote `embed:""`
	State  []string `placeholder:"STATE" help:"Only runs in this state. Repeat it, or separate with commas, for more."`
	Text   string   `help:"Only runs with this in their name, ID, tags or description, in any case; one or two characters are where a word begins."`
	Sweep  string   `placeholder:"ID" help:"Only the runs of this sweep."`
	Limit  int      `default:"50" help:"At most this many."`
}

// Run lists runs.
func (c *runListCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	for _, s := range c.State {
		if _, err := run.ParseState(s); err != nil {
			return err
		}
	}
	if c.Limit < 1 {
		return fault.Usage("--limit must be at least 1", "leave it out for 50")
	}
	var all client.RunPage
	var err error
	all.Items, all.Next, err = pages(c.Limit, func(from run.ID, n int) ([]run.Run, run.ID, error) {
		page, err := cl.Runs(ctx, client.RunsQuery{State: c.State, Text: c.Text, Sweep: c.Sweep, Before: string(from), Limit: n})
		return page.Items, page.Next, err
	})
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(all)
	}
	t := p.table("ID", "NAME", "STATE", "STEP", "LOSS", "SHAPE", "CREATED")
	for _, r := range all.Items {
		t.row(string(r.ID), short(r.Name, 40), string(r.State), steps(r), loss(r), r.Shape.String(), p.ago(r.CreatedAt))
	}
	if err := t.flush(); err != nil {
		return err
	}
	switch {
	case all.Next != "":
		p.say("there are more runs; --limit shows more, --state and --text narrow it down")
	case len(all.Items) == 0 && (len(c.State) > 0 || c.Text != "" || c.Sweep != ""):
		p.say("no run matches --state, --text and --sweep as given")
	case len(all.Items) == 0:
		p.say("no runs; submit one with \"cotrain run submit --preset debug-diloco --name first\"")
	}
	return nil
}
