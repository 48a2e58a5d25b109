package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// maxTail is the largest --tail: the most lines that one answer holds.
const maxTail = 5000

type runLogsCmd struct {
	Remote   `embed:""`
	ID       run.ID        `arg:"" help:"ID of the run."`
	Follow   bool          `short:"f" help:"Go on until the run ends."`
	Worker   int           `default:"-1" placeholder:"N" help:"Only this worker's lines, as they are."`
	Tail     int           `default:"-1" placeholder:"N" help:"Only the newest lines, this many."`
	Raw      bool          `help:"Also the lines for machines: COTRAIN {...}."`
	Patience time.Duration `default:"5m" help:"With --follow: how long to wait for a console that is away."`
}

// Run prints a log, one JSON object a line with --format json; as text without the lines for machines.
func (c *runLogsCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if c.Worker < -1 {
		return fault.Usage("--worker must be the number of a worker, from 0", "leave it out for all workers")
	}
	if c.Tail < -1 || c.Tail > maxTail {
		return fault.Usage(fmt.Sprintf("--tail must be from 0 to %d", maxTail), "leave it out for all lines")
	}
	if err := p.checkWorker(ctx, cl, c.ID, c.Worker); err != nil {
		return err
	}
	f := follower{p: p, c: cl, id: c.ID, worker: c.Worker, line: func(l run.LogLine) error {
		switch {
		case c.Format == "json":
			return p.printJSON(l)
		case !c.shows(l):
			return nil
		}
		return p.printLine(l, c.Worker)
	}}
	if c.Tail >= 0 {
		if err := c.tail(ctx, &f); err != nil {
			return err
		}
	} else if _, err := f.drain(ctx, !c.Follow); err != nil { // a console that is not there is told at once
		return err
	}
	if !c.Follow {
		return nil
	}
	f.patience = c.Patience
	_, err := f.follow(ctx)
	return err
}

// shows reports whether a line is printed. JSON is for machines, so it has them all.
func (c *runLogsCmd) shows(l run.LogLine) bool {
	return c.Raw || c.Format == "json" || !machineLine(l.Text)
}

// tail prints the newest lines and moves the cursor past them. It reads back until enough of them are shown.
func (c *runLogsCmd) tail(ctx context.Context, f *follower) error {
	q := client.LogsQuery{Tail: max(c.Tail, 1), Worker: c.Worker}
	var shown []run.LogLine // newest first
	for first := true; first || len(shown) < c.Tail; first = false {
		page, err := f.c.Logs(ctx, c.ID, q)
		if err != nil {
			return err
		}
		if first {
			f.after = page.Next
		}
		for _, l := range slices.Backward(page.Lines) {
			if c.shows(l) && len(shown) < c.Tail {
				shown = append(shown, l)
			}
		}
		if !page.More || len(page.Lines) == 0 {
			break
		}
		q.Before, q.Tail = int64(page.Lines[0].Pos), maxTail
	}
	for _, l := range slices.Backward(shown) {
		if err := f.line(l); err != nil {
			return err
		}
	}
	return nil
}

// checkWorker fails when a run does not have the worker; -1 stands for all.
func (p *process) checkWorker(ctx context.Context, cl *client.Client, id run.ID, worker int) error {
	if worker < 0 {
		return nil
	}
	got, err := cl.Run(ctx, id)
	if err != nil {
		return err
	}
	if n := got.Run.Shape.Nodes; worker >= n {
		p.say("run %s has no worker %d; its workers are 0 to %d", got.Run.ID, worker, n-1)
		return exitStatus(exitNotFound)
	}
	return nil
}
