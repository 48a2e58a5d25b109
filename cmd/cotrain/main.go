// Command cotrain is the whole of CoTrain: the console, the embedded agent, the reference trainer, and a command line
// for everything that the page can do.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
)

func main() {
	// The first signal asks to end; the second one ends the program at once, as if nobody listened.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	p := &process{
		args: os.Args[1:], environ: os.LookupEnv, readFile: readFile,
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		terminal: isTerminal(os.Stdout), stderrTerminal: isTerminal(os.Stderr),
		now: time.Now, poll: 500 * time.Millisecond,
	}
	os.Exit(p.run(ctx))
}

func isTerminal(f *os.File) bool { return isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()) }
