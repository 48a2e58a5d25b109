package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"net"
	"time"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/draft"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

type runSubmitCmd struct {
	Remote      `embed:""`
	InProject   `embed:""`
	Name        string  `help:"Name of the run."`
	Description *string `placeholder:"TEXT" help:"Free text that is shown with the run."`
	Start       `embed:""`
	Changes     `embed:""`
	Sending     `embed:""`
}

// Help says what the flags do not.
func (*runSubmitCmd) Help() string {
	return "One of --file, --preset, --template and --clone says what to start from; without any, it is CotrainCore's defaults. --set and the other flags change that."
}

// Run submits, and follows if asked to.
func (c *runSubmitCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if c.Name == "" && !c.DryRun && c.Clone == "" {
		return fault.Usage("--name is missing", "give the run a name, as in --name first")
	}
	src, err := c.source()
	if err != nil {
		return err
	}
	if err := c.apply(p, &src); err != nil {
		return err
	}
	return c.send(ctx, p, cl, c.Format, client.Submission{Project: c.project(p), Name: c.Name, Source: described(src, c.Description)})
}

// described adds a description, which is not among the flags that templates share.
func described(src draft.Source, text *string) draft.Source {
	if text == nil {
		return src
	}
	if src.Options == nil {
		src.Options = &draft.OptionsInput{}
	}
	src.Options.Description = text
	return src
}

// Sending is the flags of how a submission is sent.
type Sending struct {
	DryRun   bool          `name:"dry-run" help:"Submit nothing: say where the run would land, or why not. Exit 0 when it fits now, 1 when not."`
	Key      string        `help:"Repeating a submission with the same key returns the first one's run."`
	Follow   bool          `short:"f" help:"Print progress and log until the run ends; exit 0 when it succeeded, 1 when not."`
	Patience time.Duration `default:"5m" help:"How long to wait for a console that is away."`
}

// send submits a run as the flags say.
func (s Sending) send(ctx context.Context, p *process, cl *client.Client, format string, body client.Submission) error {
	if s.DryRun {
		return p.dryRun(ctx, cl, format, body)
	}
	made, err := post(ctx, p, s, func(key string) (client.SubmittedRun, error) { return cl.SubmitRun(ctx, key, body) })
	if err != nil {
		return err
	}
	r := made.Run
	p.warnOfTrouble(ctx, cl)
	if format != "json" || s.Follow {
		p.warn(made.Warnings)
	}
	switch {
	case s.Follow:
		return p.followRun(ctx, cl, format, s.Patience, r)
	case format == "json":
		return p.printJSON(made)
	}
	if err := p.print("%s\n", r.ID); err != nil {
		return err
	}
	if r.State == run.Failed {
		p.say("%s failed: %s", r.ID, r.Reason)
		return errQuiet
	}
	p.say("%s is %s; watch it with \"cotrain run logs --follow %s\"", r.ID, r.State, r.ID)
	return nil
}

// warn prints what is allowed but probably not meant.
func (p *process) warn(warnings []run.FieldError) {
	for _, w := range warnings {
		p.say("warning: %s", w.Error())
	}
}

// warnOfTrouble prints what is wrong with the console itself, such as a job file that cannot be used.
func (p *process) warnOfTrouble(ctx context.Context, cl *client.Client) {
	if s, err := cl.System(ctx); err == nil && s.Message != "" {
		p.say("warning: %s", s.Message)
	}
}

// post sends a submission. It always carries a key, so that repeating it after a lost answer submits nothing twice. A console
// that was never there is an error at once.
func post[T any](ctx context.Context, p *process, s Sending, send func(key string) (T, error)) (T, error) {
	key := cmp.Or(s.Key, rand.Text())
	out, err := send(key)
	var away *client.Unreachable
	var dial *net.OpError
	absent := errors.As(err, &dial) && dial.Op == "dial"
	if errors.As(err, &away) && !absent {
		return patiently(ctx, p, s.Patience, func() (T, error) { return send(key) })
	}
	return out, err
}
