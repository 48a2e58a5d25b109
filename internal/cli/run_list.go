package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

type runListCmd struct {
	Remote    `embed:""`
	InProject `embed:""`
	Owner     string   `placeholder:"NAME" help:"Only runs that this user submitted."`
	State     []string `placeholder:"STATE" help:"Only runs in this state. Repeat it, or separate with commas, for more."`
	Text      string   `help:"Only runs with this in their name, ID, tags or description, in any case; one or two characters are where a word begins."`
	Sweep     string   `placeholder:"ID" help:"Only the runs of this sweep."`
	Tag       []string `placeholder:"TAG" help:"Only runs with this tag. Repeat it, or separate with commas, for those with all of several."`
	Model     string   `placeholder:"PRESET" help:"Only runs made from this preset."`
	Node      string   `placeholder:"NAME" help:"Only runs that had a worker on this node."`
	Since     string   `placeholder:"TIME" help:"Only runs created since: 2026-01-31 or 2026-01-31T12:00:00Z."`
	Until     string   `placeholder:"TIME" help:"Only runs created before."`
	Archived  string   `default:"no" enum:"no,only,all" help:"Whether to list archived runs: no, only or all."`
	Sort      string   `placeholder:"KEY" help:"Order: created, name, project, owner, model, step, loss, throughput, duration, ended, or metric:NAME:last, low or high. With - in front the highest come first: --sort=-loss."`
	Limit     int      `default:"50" help:"At most this many."`
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
	order, err := run.ParseOrder(c.Sort)
	if err != nil {
		return err
	}
	all := client.RunPage{Sorted: map[run.ID]run.Number{}}
	all.Items, all.Next, err = pages(c.Limit, func(from string, n int) ([]run.Run, string, error) {
		page, err := cl.Runs(ctx, client.RunsQuery{
			ProjectsQuery: c.ofProjects(p), Owner: c.Owner, State: c.State, Text: c.Text, Sweep: c.Sweep, Tag: c.Tag, Model: c.Model, Node: c.Node, Since: c.Since, Until: c.Until,
			Archived: c.Archived, Sort: c.Sort, Before: from, Limit: n,
		})
		maps.Copy(all.Sorted, page.Sorted)
		return page.Items, page.Next, err
	})
	if err != nil {
		return err
	}
	if order.Metric != "" && len(all.Items) > 0 && len(all.Sorted) == 0 {
		p.say("no run of the list has the metric %s, so the newest come first; \"cotrain run metrics RUN\" lists those of a run", order.Metric)
	}
	if c.Format == "json" {
		return p.printJSON(all)
	}
	head := []string{"ID", "NAME", "STATE", "STEP", "LOSS", "SHAPE", "CREATED"}
	many := projects(all.Items, func(r run.Run) string { return r.Project }) || projects(all.Items, func(r run.Run) string { return r.Owner })
	if many {
		head = append(head, "PROJECT", "OWNER")
	}
	if order.Metric != "" {
		head = slices.Insert(head, 5, strings.ToUpper(short(order.Metric, 40)+" "+order.Of))
	}
	tagged := slices.ContainsFunc(all.Items, func(r run.Run) bool { return len(r.Options.Tags) > 0 })
	if tagged {
		head = append(head, "TAGS")
	}
	noticed := slices.ContainsFunc(all.Items, func(r run.Run) bool { return len(r.Notices) > 0 })
	if noticed {
		head = append(head, "NOTICE")
	}
	t := p.table(head...)
	for _, r := range all.Items {
		row := []string{string(r.ID), short(r.Name, 40), string(r.State), steps(r), loss(r), r.Shape.String(), p.ago(r.CreatedAt)}
		if order.Metric != "" {
			row = slices.Insert(row, 5, sortedBy(all.Sorted, r.ID))
		}
		if many {
			row = append(row, r.Project, short(setOr(r.Owner), 40))
		}
		if tagged {
			row = append(row, short(strings.Join(r.Options.Tags, ","), 60))
		}
		if noticed {
			row = append(row, noticeOf(r))
		}
		t.row(row...)
	}
	if err := t.flush(); err != nil {
		return err
	}
	switch {
	case all.Next != "":
		p.say("there are more runs; --limit shows more, --state and --text narrow it down")
	case len(all.Items) == 0 && (len(c.State) > 0 || len(c.Tag) > 0 || c.Text+c.Sweep+c.Owner+c.Model+c.Node+c.Since+c.Until != "" || c.Archived == "only" || c.project(p) != ""):
		p.say("no run matches the filters as given")
	case len(all.Items) == 0:
		p.say("no runs; submit one with \"cotrain run submit --preset debug-diloco --name first\"")
	}
	return nil
}

// noticeOf is the gravest notice of a run, with how many more there are, or a dash.
func noticeOf(r run.Run) string {
	switch n := len(r.Notices); n {
	case 0:
		return "-"
	case 1:
		return short(r.Notices[0].Text, 80)
	default:
		return short(r.Notices[0].Text, 70) + fmt.Sprintf(" (and %d more)", n-1)
	}
}

// sortedBy is the value that a run is sorted by.
func sortedBy(values map[run.ID]run.Number, id run.ID) string {
	v, ok := values[id]
	if !ok {
		return "-"
	}
	return figure(float64(v))
}
