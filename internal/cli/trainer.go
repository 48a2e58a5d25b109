package cli

import (
	"context"
	"fmt"
)

type trainerCmd struct {
	Args []string `arg:"" optional:"" help:"@config.toml and CotrainCore's own flags."`
}

// exitStatus is the exit code of a failure that has been reported already.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// Run trains. It is reached only when a flag stands before the command; see [process.run].
func (c *trainerCmd) Run(ctx context.Context, p *process) error {
	return exitStatus(p.trainer(ctx, c.Args))
}

// trainer runs the reference trainer, whose exit codes are its own.
func (p *process) trainer(ctx context.Context, args []string) int {
	return p.programs.Trainer(ctx, args, p.env, p.stdout, p.stderr)
}

// env is a variable of the environment, "" if it is not set.
func (p *process) env(name string) string {
	value, _ := p.environ(name)
	return value
}
