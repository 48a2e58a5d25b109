// Command cotrain is the whole of CoTrain: the console, the embedded agent, the reference trainer, and a command line
// for everything that the page can do.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/cotrain/cotrain/internal/app"
	"github.com/cotrain/cotrain/internal/cli"
	"github.com/cotrain/cotrain/internal/probe"
	"github.com/cotrain/cotrain/internal/reftrain"
)

func main() {
	// The first signal asks to end; the second one ends the program at once, as if nobody listened.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Main(ctx, cli.Programs{
		Server: app.Serve, Agent: app.ServeAgent, CopyStore: app.CopyStore, CheckStore: app.CheckStore, VerifyLogs: app.VerifyLogs, MigrateLogs: app.MigrateLogs, ResetPassword: app.ResetPassword,
		SetupCluster: app.SetupCluster, CheckCluster: app.CheckCluster, Trainer: reftrain.Main, Probe: probe.Main,
	}))
}
