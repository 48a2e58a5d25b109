package cli

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

type sweepListCmd struct {
	Remote `embed:""`
	Limit  int `default:"50" help:"At most this many."`
}

// sweepList is a page of sweeps as the API sends it, and as this command prints it.
type sweepList struct {
	Items []run.Sweep `json:"items"`
	Next  run.SweepID `json:"next,omitempty"`
}

// Run lists sweeps.
func (c *sweepListCmd) Run(ctx context.Context, p *process) error {
	if c.Limit < 1 {
		return fault.Usage("--limit must be at least 1", "leave it out for 50")
	}
	cl, err := p.connect(c.Remote)
	if err != nil {
		return err
	}
	all, err := c.read(ctx, cl)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(all)
	}
	t := p.table("ID", "NAME", "RUNS", "VARIED", "CREATED")
	for _, sw := range all.Items {
		t.row(string(sw.ID), short(sw.Name, 40), countsText(sw)+stoppedNote(sw), short(strings.Join(sw.Fields, ", "), 60), p.ago(sw.CreatedAt))
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

func (c *sweepListCmd) read(ctx context.Context, cl *client) (sweepList, error) {
	all := sweepList{Items: []run.Sweep{}}
	for len(all.Items) < c.Limit {
		query := url.Values{"limit": {strconv.Itoa(min(listPage, c.Limit-len(all.Items)))}}
		if all.Next != "" {
			query.Set("before", string(all.Next))
		}
		var page sweepList
		if err := cl.get(ctx, "/api/v1/sweeps", query, &page); err != nil {
			return all, err
		}
		all.Items, all.Next = append(all.Items, page.Items...), page.Next
		if page.Next == "" {
			break
		}
	}
	return all, nil
}
