package watch

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/logparse"
	"github.com/cotrain/cotrain/internal/run"
)

// policyCategories are the categories of what a run's policies act on.
var policyCategories = map[run.NoticeKind]string{
	run.NoticeHang: "hang", run.NoticeNotFinite: "nan_loss", run.NoticeDiverged: "loss_spike", run.NoticePlateau: "plateau",
}

// policed is why a policy of the run ended an attempt, and because of which kind of notice; nil if none did.
func (w *Watcher) policed(ctx context.Context, id run.ID, a run.Attempt, ws []run.Worker) (*run.Cause, run.NoticeKind, error) {
	r, err := w.o.Store.Run(ctx, id)
	if err != nil {
		return nil, "", err
	}
	n := r.EndedBy()
	if n == nil {
		return nil, "", nil
	}
	x := Explainer{Store: w.o.Store, Now: w.o.Now}
	category := policyCategories[n.Kind]
	c := &run.Cause{
		Attempt: a.Number, At: w.o.Now(), Category: category, Summary: run.Sentence(n.Text), Hint: n.Hint, Retryable: n.Kind == run.NoticeHang,
		Rank: n.Rank, Node: n.Node, Fingerprint: "policy/" + category,
	}
	if n.StacksTell != "" {
		c.Summary += " " + run.Sentence(n.StacksTell)
	}
	if r.StopCause == run.StopSpoiled {
		c.Summary = run.Sentence(r.StopReason)
	}
	for _, k := range w.o.Rules.Categories() {
		if k.Name == category {
			c.Title = k.Title
		}
	}
	for _, wk := range ws {
		if n.Rank >= 0 && wk.Rank != n.Rank {
			c.Victims = append(c.Victims, wk.Rank)
		}
	}
	if n.Kind == run.NoticeHang {
		c.Evidence = noticed(slices.Concat(n.Stacks, n.Evidence), n.Rank)
	} else if c.Evidence, err = x.losses(ctx, id, *n, a.CreatedAt); err != nil {
		return nil, "", err
	}
	return c, n.Kind, x.count(ctx, r.Project, c, ws)
}

// noticed are the lines of a notice as those of a cause at a worker.
func noticed(lines []run.NoticeLine, of int) []run.CauseLine {
	var out []run.CauseLine
	for _, l := range lines {
		line := run.CauseLine{Pos: l.Pos, Text: l.Text}
		if l.Rank != of {
			line.Rank = &l.Rank
		}
		out = append(out, line)
	}
	return out
}

// shownLosses is how many reports from the step of a notice on are evidence, beside the one before it and the newest.
const shownLosses = 3

// losses are the lines in which the worker of a notice, or worker 0 if it is about all, reported its loss around the step where the trouble began.
func (x Explainer) losses(ctx context.Context, id run.ID, n run.Notice, since time.Time) ([]run.CauseLine, error) {
	rank := max(0, n.Rank)
	lines, err := x.lastLines(ctx, id, rank, since, time.Time{})
	if err != nil {
		return nil, err
	}
	var people, machines []run.LogLine // of which both may tell the same
	var p logparse.Parser
	around := func(list []run.LogLine, l run.LogLine, before bool) []run.LogLine {
		switch {
		case before:
			return append(list[:0], l)
		case len(list) > 1+shownLosses:
			return append(list[:1+shownLosses], l)
		}
		return append(list, l)
	}
	for _, l := range lines {
		res := p.Line([]byte(l.Text))
		if res.Kind != logparse.KindSample || !res.Sample.HasStep || !slices.ContainsFunc(res.Sample.Metrics, func(m run.Metric) bool { return m.Name == "loss" }) {
			continue
		}
		before := res.Before+res.Sample.Step < n.Step
		if strings.HasPrefix(l.Text, run.MachineMark) {
			machines = around(machines, l, before)
		} else {
			people = around(people, l, before)
		}
	}
	if len(people) == 0 {
		people = machines
	}
	var out []run.CauseLine
	for _, l := range people {
		line := run.CauseLine{Pos: l.Pos, Text: oneLine(l.Text)}
		if n.Rank < 0 {
			line.Rank = &rank
		}
		out = append(out, line)
	}
	return out, nil
}
