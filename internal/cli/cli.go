package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/alecthomas/kong"
	"github.com/mattn/go-isatty"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/fault"
)

// Programs are what a command runs in this process instead of asking a console for it.
type Programs struct {
	// Server serves a console, and Agent the embedded agent alone, until ctx ends.
	Server func(ctx context.Context, cfg config.Config, version string, log *slog.Logger) error
	Agent  func(ctx context.Context, agent config.Agent, log *slog.Logger) error
	// Trainer is the reference trainer; it returns its exit code.
	Trainer func(ctx context.Context, args []string, env func(string) string, stdout, stderr io.Writer) int
}

// Main runs the command that the arguments of this process name, and returns the exit code.
func Main(ctx context.Context, programs Programs) int {
	p := &process{
		programs: programs, args: os.Args[1:], environ: os.LookupEnv, readFile: readFile,
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		terminal: isTerminal(os.Stdout), stderrTerminal: isTerminal(os.Stderr),
		now: time.Now, poll: 500 * time.Millisecond,
	}
	return p.run(ctx)
}

func isTerminal(f *os.File) bool { return isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()) }

// process is what surrounds a command.
type process struct {
	programs       Programs
	args           []string // without the program's name
	environ        func(string) (string, bool)
	readFile       func(string) ([]byte, error)
	stdin          io.Reader
	stdout, stderr io.Writer
	terminal       bool   // stdout is one
	live           string // the last line of the terminal while it is written anew, see setLive
	stderrTerminal bool
	now            func() time.Time
	poll           time.Duration // between two looks at a run that is followed
}

// commands is the grammar of the command line.
type commands struct {
	Server   serverCmd   `cmd:"" help:"Start the console."`
	Agent    agentCmd    `cmd:"" help:"Start the embedded agent alone, as what NOMAD_ADDR may point at."`
	Run      runCmd      `cmd:"" help:"Submit, watch and end runs."`
	Sweep    sweepCmd    `cmd:"" help:"Submit and compare groups of runs."`
	Template templateCmd `cmd:"" help:"Keep configurations to start from."`
	Config   configCmd   `cmd:"" help:"Check and convert configurations, without a console."`
	Diff     diffCmd     `cmd:"" help:"Show how two runs, templates or presets differ."`
	Storage  storageCmd  `cmd:"" help:"Look into the folder that all workers share."`
	Node     nodeCmd     `cmd:"" help:"Look at the nodes of the cluster."`
	Trainer  trainerCmd  `cmd:"" passthrough:"" help:"Train as CotrainCore's configuration says, on the CPU: cotrain trainer @config.toml."`
	Version  versionCmd  `cmd:"" help:"Say which version this is."`
}

type runCmd struct {
	Submit    runSubmitCmd    `cmd:"" help:"Submit a run."`
	Clone     runCloneCmd     `cmd:"" help:"Submit the same run again, with changes."`
	List      runListCmd      `cmd:"" help:"List runs, newest first."`
	Show      runShowCmd      `cmd:"" help:"Show one run with its workers."`
	Logs      runLogsCmd      `cmd:"" help:"Print a run's log."`
	Events    runEventsCmd    `cmd:"" help:"Print what happened to a run."`
	Metrics   runMetricsCmd   `cmd:"" help:"Print a run's metrics."`
	Launch    runLaunchCmd    `cmd:"" help:"Show exactly what starts a run's workers."`
	Reproduce runReproduceCmd `cmd:"" help:"Print the command that makes the same run."`
	Stop      runStopCmd      `cmd:"" help:"Stop a run."`
	Delete    runDeleteCmd    `cmd:"" help:"Delete a run that has ended, with its metrics, events and logs."`
}

type nodeCmd struct {
	List nodeListCmd `cmd:"" help:"List nodes."`
}

const description = `Console for distributed training with CotrainCore on Nomad.

COTRAIN_ADDR names the console that the commands talk to (http://127.0.0.1:8080).
Exit codes: 0 done, 1 failed, 2 bad usage, 3 not found, 4 refused.`

// run runs the command and returns the exit code.
func (p *process) run(ctx context.Context) int {
	if len(p.args) > 0 && p.args[0] == "trainer" {
		return p.trainer(ctx, p.args[1:]) // its arguments are not ours to parse
	}
	helped := false
	k, err := kong.New(newCommands(), kong.Name("cotrain"), kong.Description(description), kong.Writers(p.stdout, p.stderr),
		kong.Exit(func(int) { helped = true }), kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}))
	if err != nil {
		return p.report(fmt.Errorf("read the grammar of the command line: %w", err))
	}
	parsed, err := k.Parse(p.args)
	if helped {
		return exitDone
	}
	if err != nil {
		return p.report(fault.Usage(err.Error(), "run "+helpFor(err)+" to see what there is"))
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	if remote, ok := parsed.Selected().Target.Addr().Interface().(interface {
		connect(p *process) (*client.Client, error)
	}); ok {
		cl, err := remote.connect(p)
		if err != nil {
			return p.report(err)
		}
		parsed.Bind(cl)
	}
	return p.report(parsed.Run(p))
}

func newCommands() *commands {
	c := &commands{}
	c.Server.Plugins = kong.Plugins{newServerFlags()}
	return c
}

// helpFor is the command that explains what was typed wrongly.
func helpFor(err error) string {
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		if node := parse.Context.Selected(); node != nil {
			return "\"" + node.FullPath() + " --help\""
		}
	}
	return "\"cotrain --help\""
}
