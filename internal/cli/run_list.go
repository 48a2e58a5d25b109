package cli

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// listPage is how many runs one request asks for.
const listPage = 500

type runListCmd struct {
	Remote `embed:""`
	State  []string `placeholder:"STATE" help:"Only runs in this state. Repeat it, or separate with commas, for more."`
	Text   string   `help:"Only runs with this in their name or ID."`
	Sweep  string   `placeholder:"ID" help:"Only the runs of this sweep."`
	Limit  int      `default:"50" help:"At most this many."`
}

// runList is a page of runs as the API sends it, and as this command prints it.
type runList struct {
	Items []run.Run `json:"items"`
	Next  run.ID    `json:"next,omitempty"`
}

// Run lists runs.
func (c *runListCmd) Run(ctx context.Context, p *process) error {
	for _, s := range c.State {
		if _, err := run.ParseState(s); err != nil {
			return err
		}
	}
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

func (c *runListCmd) read(ctx context.Context, cl *client) (runList, error) {
	all := runList{Items: []run.Run{}}
	for len(all.Items) < c.Limit {
		query := url.Values{"limit": {strconv.Itoa(min(listPage, c.Limit-len(all.Items)))}}
		if len(c.State) > 0 {
			query.Set("state", strings.Join(c.State, ","))
		}
		if c.Text != "" {
			query.Set("text", c.Text)
		}
		if c.Sweep != "" {
			query.Set("sweep", c.Sweep)
		}
		if all.Next != "" {
			query.Set("before", string(all.Next))
		}
		var page runList
		if err := cl.get(ctx, "/api/v1/runs", query, &page); err != nil {
			return all, err
		}
		all.Items, all.Next = append(all.Items, page.Items...), page.Next
		if page.Next == "" {
			break
		}
	}
	return all, nil
}
