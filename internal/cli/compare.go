package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

type compareCmd struct {
	Remote `embed:""`
	ID     []run.ID `arg:"" optional:"" help:"IDs of runs, up to 200."`
	Sweep  string   `placeholder:"ID" help:"The runs of a sweep, in place of IDs."`
	Metric []string `placeholder:"NAME" help:"A metric, loss without it. Repeat it, or separate with commas, for more."`
	At     int64    `default:"-1" placeholder:"STEP" help:"Values at this step, too."`
	Base   run.ID   `placeholder:"ID" help:"The run that the others differ from."`
	Group  string   `placeholder:"BY" help:"Groups of runs: by settings (the same ones, with any seed), tag, sweep, or a setting such as optim.optim.lr."`
}

// columnsOfRuns is how many runs have a column each in the table of differences; of more it tells the values alone.
const columnsOfRuns = 6

// Run prints what runs reached, and in what they differ.
func (c *compareCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	q := client.CompareQuery{Sweep: c.Sweep, Metric: c.Metric, At: c.At, Base: string(c.Base), Group: c.Group}
	for _, id := range c.ID {
		q.Run = append(q.Run, string(id))
	}
	out, err := cl.Compare(ctx, q)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(out)
	}
	if err := c.printRuns(p, out); err != nil {
		return err
	}
	if err := printGroups(p, out); err != nil {
		return err
	}
	if err := printDifferences(p, out); err != nil {
		return err
	}
	if out.LeftOut {
		p.say("the sweep has more runs; the newest %d are compared", len(out.Runs))
	}
	return nil
}

func (c *compareCmd) printRuns(p *process, out client.Comparison) error {
	head := []string{"ID", "NAME", "STATE", "STEP"}
	best := map[string]bool{}
	for _, m := range out.Metrics {
		for _, r := range out.Runs {
			best[m] = best[m] || r.Values[m].Best != nil
		}
		head = append(head, "FINAL "+m)
		if best[m] {
			head = append(head, "BEST "+m)
		}
		if c.At >= 0 {
			head = append(head, fmt.Sprintf("AT %d %s", c.At, m))
		}
	}
	t := p.table(head...)
	for _, r := range out.Runs {
		row := []string{string(r.ID), short(r.Name, 40), string(r.State), strconv.FormatInt(r.Step, 10)}
		for _, m := range out.Metrics {
			v := r.Values[m]
			row = append(row, reachedText(v.Final))
			if best[m] {
				row = append(row, reachedText(v.Best))
			}
			if c.At >= 0 {
				row = append(row, reachedText(v.At))
			}
		}
		t.row(row...)
	}
	return t.flush()
}

// reachedText is a value with its difference to the baseline: "2.41 (-3.2%)".
func reachedText(v *client.Reached) string {
	switch {
	case v == nil:
		return "-"
	case v.Percent != nil:
		return fmt.Sprintf("%s (%+.3g%%)", figure(float64(v.Value)), float64(*v.Percent))
	case v.Difference != nil:
		return fmt.Sprintf("%s (%+.3g)", figure(float64(v.Value)), float64(*v.Difference))
	}
	return figure(float64(v.Value))
}

func printGroups(p *process, out client.Comparison) error {
	if len(out.Groups) == 0 {
		return nil
	}
	head := []string{"GROUP", "RUNS"}
	for _, m := range out.Metrics {
		head = append(head, "MEAN "+m, "LOWEST TO HIGHEST")
	}
	if err := p.print("\n"); err != nil {
		return err
	}
	t := p.table(head...)
	for _, g := range out.Groups {
		row := []string{short(g.Label, 60), strconv.Itoa(len(g.Runs))}
		for _, m := range out.Metrics {
			if s, ok := g.Final[m]; ok {
				row = append(row, figure(s.Mean), figure(s.Low)+" to "+figure(s.High))
			} else {
				row = append(row, "-", "-")
			}
		}
		t.row(row...)
	}
	return t.flush()
}

func printDifferences(p *process, out client.Comparison) error {
	if len(out.Differences) == 0 {
		return nil
	}
	if err := p.print("\n"); err != nil {
		return err
	}
	head := []string{"SETTING"}
	if each := len(out.Runs) <= columnsOfRuns; each {
		for _, r := range out.Runs {
			head = append(head, string(r.ID))
		}
		t := p.table(head...)
		for _, d := range out.Differences {
			row := []string{d.Field}
			for _, v := range d.Values {
				row = append(row, short(setOr(v), 40))
			}
			t.row(row...)
		}
		return t.flush()
	}
	t := p.table(append(head, "VALUES", "RUNS BY VALUE")...)
	for _, d := range out.Differences {
		count, order := map[string]int{}, []string(nil)
		for _, v := range d.Values {
			if count[v] == 0 {
				order = append(order, v)
			}
			count[v]++
		}
		text := ""
		for i, v := range order {
			if i > 0 {
				text += ", "
			}
			text += fmt.Sprintf("%s ×%d", short(setOr(v), 20), count[v])
		}
		t.row(d.Field, strconv.Itoa(len(order)), short(text, 100))
	}
	return t.flush()
}
