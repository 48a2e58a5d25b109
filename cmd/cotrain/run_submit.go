package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// maxConfigFile is the largest configuration file that is sent, in bytes; what may be dispatched is less.
const maxConfigFile = 60 << 10

// progressEvery is the least time between two lines about the progress of a run whose state stays the same.
const progressEvery = 2 * time.Second

type runSubmitCmd struct {
	Remote       `embed:""`
	Name         string        `required:"" help:"Name of the run."`
	File         string        `xor:"config" required:"" placeholder:"FILE" help:"CotrainCore's TOML; - reads it from the standard input."`
	Preset       string        `xor:"config" required:"" placeholder:"NAME" help:"Built-in configuration, such as debug-diloco."`
	Set          []string      `sep:"none" placeholder:"a.b=c" help:"Set a field of the configuration; an empty value unsets it. Repeat it for more."`
	Nodes        *int          `placeholder:"N" help:"Workers (as the preset, or 1)."`
	GPUs         *int          `name:"gpus" placeholder:"N" help:"GPUs of each worker (as the preset, or 0)."`
	GPUModel     *string       `name:"gpu-model" placeholder:"NAME" help:"Model of GPU, as \"node list\" shows it."`
	GPUMinMemory *int          `name:"gpu-min-memory" placeholder:"MIB" help:"Least memory of each GPU, in MiB."`
	CPU          *int          `name:"cpu" placeholder:"MHZ" help:"CPU of each worker, in MHz."`
	Memory       *int          `placeholder:"MIB" help:"Memory of each worker, in MiB."`
	Key          string        `help:"Repeating a submission with the same key returns the first one's run."`
	Follow       bool          `short:"f" help:"Print progress and log until the run ends; exit 0 when it succeeded, 1 when not."`
	Patience     time.Duration `default:"5m" help:"How long to wait for a console that is away."`
}

// Run submits, and follows if asked to.
func (c *runSubmitCmd) Run(ctx context.Context, p *process) error {
	cl, err := p.connect(c.Remote)
	if err != nil {
		return err
	}
	body, err := c.body(p)
	if err != nil {
		return err
	}
	r, err := c.submit(ctx, p, cl, body)
	if err != nil {
		return err
	}
	if !c.Follow {
		if c.Format == "json" {
			return p.printJSON(r)
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
	return c.follow(ctx, p, cl, r)
}

// body puts together what is sent.
func (c *runSubmitCmd) body(p *process) (submission, error) {
	s := submission{
		Name: c.Name, Preset: c.Preset, Set: map[string]string{},
		Shape: shape{c.Nodes, c.GPUs, c.GPUModel, c.GPUMinMemory, c.CPU, c.Memory},
	}
	for _, assignment := range c.Set {
		path, value, found := strings.Cut(assignment, "=")
		if !found {
			return s, &usageError{fmt.Sprintf("--set %q is not of the form field=value", assignment), "write --set optim.batch_size=64, for example"}
		}
		s.Set[strings.TrimSpace(path)] = value
	}
	if c.File == "" {
		return s, nil
	}
	var data []byte
	var err error
	if c.File == "-" {
		data, err = io.ReadAll(io.LimitReader(p.stdin, maxConfigFile+1))
	} else {
		data, err = p.readFile(c.File)
	}
	switch {
	case err != nil:
		return s, &usageError{fmt.Sprintf("--file: %v", err), "check the path"}
	case len(data) > maxConfigFile:
		return s, &usageError{fmt.Sprintf("--file %s has more than %d bytes", c.File, maxConfigFile), "check that it is CotrainCore's TOML"}
	case len(strings.TrimSpace(string(data))) == 0:
		return s, &usageError{fmt.Sprintf("--file %s is empty", c.File), "check that it is CotrainCore's TOML"}
	}
	s.Config = string(data)
	return s, nil
}

// submit sends the submission. It carries a key in any case, so that sending it again when the answer was lost makes no
// second run; a console that was not there to begin with is told at once.
func (c *runSubmitCmd) submit(ctx context.Context, p *process, cl *client, body submission) (r run.Run, err error) {
	key := c.Key
	if key == "" {
		key = rand.Text()
	}
	post := func() error { return cl.do(ctx, http.MethodPost, "/api/v1/runs", body, key, &r) }
	err = post()
	var away *unreachable
	var dial *net.OpError
	absent := errors.As(err, &dial) && dial.Op == "dial"
	if errors.As(err, &away) && !absent {
		err = p.patiently(ctx, c.Patience, post)
	}
	return r, err
}

// event is one line of JSON of a run that is followed.
type event struct {
	Type string       `json:"type"` // run, at each change; log
	Run  *run.Run     `json:"run,omitempty"`
	Log  *run.LogLine `json:"log,omitempty"`
}

// follow prints the run until it ends.
func (c *runSubmitCmd) follow(ctx context.Context, p *process, cl *client, r run.Run) error {
	asJSON := c.Format == "json"
	var said run.Run
	var at time.Time
	look := func(r run.Run) error {
		changed := r.State != said.State || r.Reason != said.Reason
		if !changed && (r.Progress == said.Progress || p.now().Sub(at) < progressEvery) {
			return nil
		}
		said, at = r, p.now()
		if asJSON {
			return p.printJSON(event{Type: "run", Run: &r})
		}
		return p.print("== %s\n", p.text(p.progress(r)))
	}
	line := func(l run.LogLine) error {
		if asJSON {
			return p.printJSON(event{Type: "log", Log: &l})
		}
		return p.printLine(l, -1)
	}
	if !asJSON {
		if err := p.print("== run %s\n", r.ID); err != nil {
			return err
		}
	}
	if err := look(r); err != nil {
		return err
	}
	f := follower{p: p, c: cl, id: r.ID, worker: -1, patience: c.Patience, line: line, look: look}
	end, err := f.follow(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		p.say("run %s goes on; \"cotrain run stop %s\" ends it", r.ID, r.ID)
		return err
	case err != nil:
		return err
	case end.State != run.Succeeded:
		p.say("run %s has %s%s", r.ID, ended(end), because(end.Reason))
		return errQuiet
	}
	return nil
}

func ended(r run.Run) string {
	if r.State == run.Stopped {
		return "been stopped"
	}
	return string(r.State)
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
