package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/kong"
	"github.com/mattn/go-isatty"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Programs are what a command runs in this process instead of asking a console for it.
type Programs struct {
	// Server serves a console, and Agent the embedded agent alone, until ctx ends.
	Server func(ctx context.Context, cfg config.Config, version string, log *slog.Logger) error
	Agent  func(ctx context.Context, agent config.Agent, log *slog.Logger) error
	// CopyStore copies a console's data between the configured PostgreSQL database, "", and a data folder with SQLite.
	// CheckStore checks the configured console's, and reports whether it is clean. Results say themselves, as JSON too.
	CopyStore  func(ctx context.Context, cfg config.Config, from, to string, tell func(string)) (fmt.Stringer, error)
	CheckStore func(ctx context.Context, cfg config.Config, repair bool) (report fmt.Stringer, clean bool, err error)
	// VerifyLogs reads the sealed blocks of the configured console's logs, and MigrateLogs copies them to the configured S3 store or back
	// from it; ok is false where something is missing or damaged.
	VerifyLogs  func(ctx context.Context, cfg config.Config, tell func(string)) (report fmt.Stringer, ok bool, err error)
	MigrateLogs func(ctx context.Context, cfg config.Config, back, remove bool, tell func(string)) (report fmt.Stringer, ok bool, err error)
	// ResetPassword gives a person of the configured console a one-time password, and says how many API tokens stay valid, and what
	// else to know.
	ResetPassword func(ctx context.Context, cfg config.Config, name string, removeFactor, revokeTokens bool) (password string, tokens int, notes []string, err error)
	// SetupCluster sets up what a console needs in Nomad, Vault and Consul, and CheckCluster checks it; ok is false where something failed.
	SetupCluster func(ctx context.Context, cfg config.Config, o config.ClusterSetup) (report fmt.Stringer, ok bool, err error)
	CheckCluster func(ctx context.Context, cfg config.Config, o config.ClusterCheck) (report fmt.Stringer, ok bool, err error)
	// Probe is what a measurement runs on the nodes; it returns its exit code.
	Probe func(ctx context.Context, env func(string) string, stdout, stderr io.Writer) int
	// Trainer is the reference trainer; it returns its exit code.
	Trainer func(ctx context.Context, args []string, env func(string) string, stdout, stderr io.Writer) int
}

// Main runs the command that the arguments of this process name, and returns the exit code.
func Main(ctx context.Context, programs Programs) int {
	p := &process{
		programs: programs, args: os.Args[1:], environ: os.LookupEnv, readFile: readFile,
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		terminal: isTerminal(os.Stdout), stderrTerminal: isTerminal(os.Stderr),
		now: time.Now, poll: 500 * time.Millisecond, wait: sleep, configDir: os.UserConfigDir, browse: browse,
	}
	return p.run(ctx)
}

func isTerminal(f *os.File) bool { return isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()) }

// process is a command's surroundings.
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
	wait           func(context.Context, time.Duration) error
	configDir      func() (string, error) // of the person
	browse         func(url string) error // opens a browser; nil where there is none
}

// run runs the command and returns the exit code.
func (p *process) run(ctx context.Context) int {
	if len(p.args) > 0 && p.args[0] == "trainer" {
		return p.trainer(ctx, p.args[1:]) // its arguments are not ours to parse
	}
	if len(p.args) == 1 && p.args[0] == "measure" {
		return p.programs.Probe(ctx, p.env, p.stdout, p.stderr) // for the job on the nodes, not for people
	}
	if len(p.args) > 0 && p.args[0] == "help" {
		p.args = append(slices.Clone(p.args[1:]), "--help")
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
		if errs := notText(parsed, p.args); len(errs) > 0 {
			return p.report(errs)
		}
		cl, err := remote.connect(p)
		if err != nil {
			return p.report(err)
		}
		parsed.Bind(cl)
	}
	return p.report(parsed.Run(p))
}

// notText lists the flags with bytes that are not UTF-8: the parser has replaced them, and JSON could not carry them.
func notText(parsed *kong.Context, args []string) (errs run.FieldErrors) {
	if !slices.ContainsFunc(args, func(arg string) bool { return !utf8.ValidString(arg) }) {
		return nil
	}
	for _, flag := range parsed.Flags() {
		var texts []string
		switch value := flag.Target.Interface().(type) {
		case string:
			texts = []string{value}
		case *string:
			if value != nil {
				texts = []string{*value}
			}
		case []string:
			texts = value
		}
		for _, text := range texts {
			if strings.ContainsRune(text, utf8.RuneError) {
				errs = append(errs, trainconf.NotText("--"+flag.Name, text))
			}
		}
	}
	return errs
}

// helpFor is the command that explains what was mistyped.
func helpFor(err error) string {
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		if node := parse.Context.Selected(); node != nil {
			return "\"" + node.FullPath() + " --help\""
		}
	}
	return "\"cotrain --help\""
}
