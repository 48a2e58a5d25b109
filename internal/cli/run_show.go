package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

type runShowCmd struct {
	Remote `embed:""`
	ID     run.ID `arg:"" help:"ID of the run."`
}

// Run shows a run.
func (c *runShowCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	d, err := cl.Run(ctx, c.ID)
	if err != nil {
		return err
	}
	p.warnOfTrouble(ctx, cl)
	if c.Format == "json" {
		return p.printJSON(d)
	}
	if err := p.printRun(d); err != nil {
		return err
	}
	if len(d.Workers) == 0 {
		return nil
	}
	if err := p.print("\n"); err != nil {
		return err
	}
	if err := p.printLosses(d); err != nil {
		return err
	}
	t := p.table("WORKER", "NODE", "STATE", "GPUS", "STARTED", "DETAIL")
	for _, w := range d.Workers {
		t.row(strconv.Itoa(w.Rank), w.NodeName, string(w.State), gpus(w.GPUs), p.ago(w.StartedAt), short(detail(w), 80))
	}
	return t.flush()
}

// printLosses says of each worker that was lost why it ended, unless the whole attempt failed: then the run has the cause.
func (p *process) printLosses(d client.RunDetail) error {
	lost := run.Losses(d.Workers)
	if len(lost) == 0 || d.Run.Cause != nil {
		return nil
	}
	t := p.table()
	for _, w := range lost {
		c := w.Cause
		t.pairs(fmt.Sprintf("Worker %d", w.Rank), c.Title+": "+c.Summary, "What to do", c.Hint, "What follows", d.Run.AfterLoss(d.Workers, w), "Seen", c.Seen.String())
		for i, line := range c.Evidence {
			t.row(map[bool]string{true: "Evidence"}[i == 0], printable(line.Text))
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	return p.print("\n")
}

// printRun prints what concerns the run as a whole.
func (p *process) printRun(d client.RunDetail) error {
	r := d.Run
	template, line, throughput := r.Origin.Template, "", ""
	if template == r.Preset {
		template = ""
	}
	if r.QueuePlace != nil {
		line = r.QueuePlace.String()
	}
	if r.Progress.TokensPerSec > 0 {
		throughput = rate(r.Progress.TokensPerSec)
	}
	t := p.table()
	t.pairs("Run", string(r.ID), "Name", r.Name, "Project", r.Project, "Owner", r.Owner, "State", string(r.State)+because(r.Reason), "Queue", line, "Description", r.Options.Description,
		"Preset", r.Preset, "Template", template, "Clone of", string(r.Origin.Clone), "Sweep", string(r.Origin.Sweep))
	for _, field := range slices.Sorted(maps.Keys(r.Origin.Point)) {
		t.row("Varied", field+" = "+r.Origin.Point[field])
	}
	if c := r.Cause; c != nil {
		t.pairs("Cause", c.Title+": "+c.Summary, "What to do", c.Hint, "What follows", r.Follows(), "Seen", c.Seen.String())
		t.pairs("Worker", causeWorker(c), "Ended with", c.Exit, "Also", strings.Join(c.Also, " "))
		label := "Evidence"
		if c.Tail {
			label = "Last lines of its log"
		}
		for i, line := range c.Evidence {
			text := line.Text
			if line.Rank != nil {
				text = "worker " + strconv.Itoa(*line.Rank) + ": " + text
			}
			t.row(map[bool]string{true: label}[i == 0], printable(text))
		}
	}
	if r.NotBefore.After(p.now()) {
		t.row("Next attempt", "in "+age(r.NotBefore.Sub(p.now()))+", "+r.NotBefore.Local().Format("2006-01-02 15:04:05"))
	}
	if r.Cause == nil || !r.Retrying() { // else that is what follows
		t.pairs("Next", d.Next)
	}
	t.pairs("Log", d.Log.Text)
	for _, n := range r.Notices {
		t.pairs("Notice", run.Sentence(n.Text), "Since", p.when(n.Since), "Next", n.Next, "Stacks asked for", p.when(n.Asked), "Stacks tell", run.Sentence(n.StacksTell), "What to do", n.Hint)
		for i, line := range n.Evidence {
			t.row(map[bool]string{true: "Newest lines"}[i == 0], fmt.Sprintf("worker %d: %s", line.Rank, line.Text))
		}
		for i, line := range n.Stacks {
			t.row(map[bool]string{true: "Stacks"}[i == 0], fmt.Sprintf("worker %d: %s", line.Rank, line.Text))
		}
	}
	t.row("Shape", r.Shape.String())
	t.options(r.Options)
	archived := ""
	if r.Archived {
		archived = "yes"
	}
	t.pairs("Note", r.Note, "Archived", archived, "Step", steps(r), "Loss", loss(r), "Throughput", throughput, "Created", p.when(r.CreatedAt), "Started", p.when(r.StartedAt), "Ended", p.when(r.EndedAt))
	for _, a := range d.Attempts {
		t.pairs("Attempt "+strconv.Itoa(a.Number), attemptText(a))
	}
	return t.flush()
}

// attemptText is the job of an attempt, with why it ended where that is known.
func attemptText(a run.Attempt) string {
	if a.Cause == nil {
		return a.JobID
	}
	return strings.TrimPrefix(a.JobID+"; "+a.Cause.Title+": "+a.Cause.Summary, "; ")
}

// causeWorker says where an attempt failed first, "" where nobody knows.
func causeWorker(c *run.Cause) string {
	if c.Rank < 0 {
		return ""
	}
	out := run.WorkerName(c.Rank, c.Node)
	if n := len(c.Victims); n > 0 {
		out += fmt.Sprintf("; %d more ended because of it", n)
	}
	return out
}

// when is a time in both forms, or nothing.
func (p *process) when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05") + " (" + p.ago(t) + ")"
}

// gpus is "2 x nvidia/gpu/A100", or a dash. Simulated devices are labelled.
func gpus(list []run.GPU) string {
	var models []string
	count := map[string]int{}
	for _, g := range list {
		if count[g.Model]++; count[g.Model] == 1 {
			models = append(models, g.Model)
		}
	}
	for i, m := range models {
		models[i] = strconv.Itoa(count[m]) + " x " + m
		if (run.GPU{Model: m}).Simulated() {
			models[i] += " (simulated)"
		}
	}
	if len(models) == 0 {
		return "-"
	}
	return strings.Join(models, ", ")
}

// detail is how a worker ended, or what Nomad says about it.
func detail(w run.Worker) string {
	if w.State.Terminal() && !w.OK() {
		return w.Failure()
	}
	return w.Detail
}
