package cli

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

type runPauseCmd struct {
	Remote `embed:""`
	ID     run.ID `arg:"" help:"ID of the run."`
	Now    bool   `help:"Stop the workers at once, not at the next checkpoint: steps since the last one are repeated."`
}

// Run pauses the run.
func (c *runPauseCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	when := run.PauseAtCheckpoint
	if c.Now {
		when = run.PauseNow
	}
	return inFlags(p.act(ctx, cl, c.Format, c.ID, run.ActPause, url.Values{"when": {string(when)}}))
}

// inFlags names the flag of a pause where a console names its parameter.
func inFlags(err error) error {
	var refused *client.Problem
	if errors.As(err, &refused) {
		for i, f := range refused.Errors {
			if f.Field == "when" {
				refused.Errors[i].Field, refused.Errors[i].Value = "--now", ""
				refused.Errors[i].Rule = "is needed: without it a pause " + f.Rule
				refused.Errors[i].Fix = strings.Replace(f.Fix, "use now", "use --now", 1)
			}
		}
	}
	return err
}

// fromFlag is what the next attempt continues from.
type fromFlag struct {
	From string `default:"newest" help:"What to continue from: newest, start, or the step of a checkpoint."`
}

func (f fromFlag) query() url.Values { return url.Values{"from": {f.From}} }

type runResumeCmd struct {
	Remote   `embed:""`
	ID       run.ID `arg:"" help:"ID of the run."`
	fromFlag `embed:""`
}

// Run resumes the run.
func (c *runResumeCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	return p.act(ctx, cl, c.Format, c.ID, run.ActResume, c.query())
}

type runRestartCmd struct {
	Remote   `embed:""`
	ID       run.ID `arg:"" help:"ID of the run."`
	fromFlag `embed:""`
}

// Run restarts the run.
func (c *runRestartCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	return p.act(ctx, cl, c.Format, c.ID, run.ActRestart, c.query())
}

type runRetryCmd struct {
	Remote   `embed:""`
	ID       run.ID `arg:"" help:"ID of the run."`
	fromFlag `embed:""`
}

// Run retries the run.
func (c *runRetryCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	return p.act(ctx, cl, c.Format, c.ID, run.ActRetry, c.query())
}

type runStopRetryingCmd struct {
	Remote `embed:""`
	ID     run.ID `arg:"" help:"ID of the run."`
}

// Run stops retrying the run.
func (c *runStopRetryingCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	return p.act(ctx, cl, c.Format, c.ID, run.ActStopRetrying, nil)
}

// act does something with a run, and prints its state and what happens next.
func (p *process) act(ctx context.Context, cl *client.Client, format string, id run.ID, a run.Act, query url.Values) error {
	done, err := cl.Act(ctx, id, a, query)
	if err != nil {
		return err
	}
	if format == "json" {
		return p.printJSON(done)
	}
	return p.printNext(done.Run, done.Next)
}

// printNext prints the state of a run that somebody has acted on, and what happens next.
func (p *process) printNext(r run.Run, next string) error {
	return p.print("%s  %s\n%s\n", r.ID, p.text(string(r.State)+because(r.Reason)), p.text(next))
}
