package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/cotrain/cotrain/internal/api"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

type runSubmitCmd struct {
	Remote      `embed:""`
	Name        string  `help:"Name of the run."`
	Description *string `placeholder:"TEXT" help:"Free text that is shown with the run."`
	Begin       `embed:""`
	Changes     `embed:""`
	Sending     `embed:""`
}

// Help says what the flags do not.
func (*runSubmitCmd) Help() string {
	return "One of --file, --preset, --template and --clone says what to begin with; without any, it is CotrainCore's defaults. --set and the other flags change that."
}

// Run submits, and follows if asked to.
func (c *runSubmitCmd) Run(ctx context.Context, p *process) error {
	if c.Name == "" && !c.DryRun && c.Clone == "" {
		return fault.Usage("--name is missing", "give the run a name, as in --name first")
	}
	src, err := c.source()
	if err != nil {
		return err
	}
	if err := c.begin(p, &src); err != nil {
		return err
	}
	return c.send(ctx, p, c.Remote, api.Submission{Name: c.Name, Source: described(src, c.Description)})
}

// described is a source with a description, which is not among the flags that templates share.
func described(src api.Source, text *string) api.Source {
	if text == nil {
		return src
	}
	if src.Options == nil {
		src.Options = &api.OptionsInput{}
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
func (s Sending) send(ctx context.Context, p *process, remote Remote, body api.Submission) error {
	cl, err := p.connect(remote)
	if err != nil {
		return err
	}
	if s.DryRun {
		return p.dryRun(ctx, cl, remote.Format, body)
	}
	var made api.SubmittedRun
	if err := s.post(ctx, p, cl, "/api/v1/runs", body, &made); err != nil {
		return err
	}
	r := made.Run
	if remote.Format != "json" || s.Follow {
		p.warn(made.Warnings)
	}
	switch {
	case s.Follow:
		return p.followRun(ctx, cl, remote.Format, s.Patience, r)
	case remote.Format == "json":
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

// warn prints what is allowed and probably not meant.
func (p *process) warn(warnings []run.FieldError) {
	for _, w := range warnings {
		p.say("warning: %s", w.Error())
	}
}

// post sends a submission. It carries a key in any case, so that sending it again when the answer was lost makes nothing
// twice; a console that was not there to begin with is told at once.
func (s Sending) post(ctx context.Context, p *process, cl *client, path string, body, out any) error {
	key := s.Key
	if key == "" {
		key = rand.Text()
	}
	post := func() error { return cl.do(ctx, http.MethodPost, path, body, key, out) }
	err := post()
	var away *unreachable
	var dial *net.OpError
	absent := errors.As(err, &dial) && dial.Op == "dial"
	if errors.As(err, &away) && !absent {
		err = p.patiently(ctx, s.Patience, post)
	}
	return err
}
