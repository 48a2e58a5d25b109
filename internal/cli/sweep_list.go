package cli

import (
	"context"
	"strings"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

type sweepListCmd struct {
	Remote    `embed:""`
	InProject `embed:""`
	Limit     int `default:"50" help:"At most this many."`
}

// Run lists sweeps.
func (c *sweepListCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if c.Limit < 1 {
		return fault.Usage("--limit must be at least 1", "leave it out for 50")
	}
	var all client.SweepPage
	var err error
	all.Items, all.Next, err = pages(c.Limit, func(from run.SweepID, n int) ([]run.Sweep, run.SweepID, error) {
		page, err := cl.Sweeps(ctx, client.SweepsQuery{ProjectsQuery: c.ofProjects(p), Before: string(from), Limit: n})
		return page.Items, page.Next, err
	})
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(all)
	}
	head := []string{"ID", "NAME", "RUNS", "VARIED", "CREATED"}
	many := projects(all.Items, func(sw run.Sweep) string { return sw.Project })
	if many {
		head = append(head, "PROJECT")
	}
	t := p.table(head...)
	for _, sw := range all.Items {
		row := []string{string(sw.ID), short(sw.Name, 40), countsText(sw) + stoppedNote(sw), short(strings.Join(sw.Fields, ", "), 60), p.ago(sw.CreatedAt)}
		if many {
			row = append(row, sw.Project)
		}
		t.row(row...)
	}
	if err := t.flush(); err != nil {
		return err
	}
	switch {
	case all.Next != "":
		p.say("there are more sweeps; --limit shows more")
	case len(all.Items) == 0:
		p.say("no sweeps; submit one with \"cotrain sweep submit --preset debug --name lr --grid optim.optim.lr=1e-4,3e-4\"")
	}
	return nil
}
