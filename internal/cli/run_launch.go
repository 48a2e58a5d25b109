package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

type runLaunchCmd struct {
	Remote `embed:""`
	ID     run.ID `arg:"" help:"ID of the run."`
	Script bool   `xor:"part" help:"Only the launch script."`
	Job    bool   `xor:"part" help:"Only the job, as JSON."`
	Env    bool   `xor:"part" help:"Only the environment, as NAME=VALUE lines."`
	Config bool   `xor:"part" help:"Only the configuration."`
}

// Run shows exactly what started the run's workers, or will start them.
func (c *runLaunchCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	l, err := cl.Launch(ctx, c.ID)
	if err != nil {
		return err
	}
	switch {
	case c.Script:
		return p.printText(l.Script)
	case c.Job:
		return p.printJob(l.Job)
	case c.Config:
		return p.printText(l.Config)
	case c.Env && c.Format == "table":
		return p.printEnv(l.Env)
	case c.Env:
		return p.printJSON(l.Env)
	case c.Format == "json":
		return p.printJSON(l)
	}
	return p.printLaunch(l)
}

func (p *process) printJob(job json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Indent(&b, job, "", "  "); err != nil {
		return fmt.Errorf("read job: %w", err)
	}
	return p.printText(b.String())
}

func (p *process) printEnv(env []run.EnvVar) error {
	for _, v := range env {
		if err := p.print("%s\n", p.text(v.Name+"="+v.Value)); err != nil {
			return err
		}
	}
	return nil
}

// printLaunch prints what fits on a screen; the script and the job have flags of their own.
func (p *process) printLaunch(l run.Launch) error {
	t := p.table()
	t.row("Job", l.ParentJob)
	t.row("Command", l.Command)
	for _, name := range slices.Sorted(maps.Keys(l.Meta)) {
		t.row("Meta "+name, short(l.Meta[name], 120))
	}
	if err := t.flush(); err != nil {
		return err
	}
	if err := p.print("\n"); err != nil {
		return err
	}
	t = p.table("VARIABLE", "VALUE", "FROM")
	for _, v := range l.Env {
		t.row(v.Name, v.Value, v.From)
	}
	if err := t.flush(); err != nil {
		return err
	}
	p.say("--script, --job and --config print those in full")
	return nil
}
