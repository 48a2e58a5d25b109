package reftrain

import (
	"bytes"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// dumpSignals are those that COTRAIN_DUMP_SIGNAL may name.
var dumpSignals = map[string]os.Signal{"SIGQUIT": syscall.SIGQUIT, "SIGUSR1": syscall.SIGUSR1, "SIGUSR2": syscall.SIGUSR2}

// maxDump bounds what a signal prints.
const maxDump = 1 << 20

// dumpOn prints the stacks on w whenever a signal arrives, as a trainer with Python's faulthandler does, until stop is called. A name
// that is no such signal is none.
func dumpOn(name string, w io.Writer) (stop func()) {
	sig, ok := dumpSignals[name]
	if !ok {
		return func() {}
	}
	arrived, done, ended := make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
	signal.Notify(arrived, sig)
	go func() {
		defer close(ended)
		for {
			select {
			case <-arrived:
				_, _ = w.Write(stacks(name)) // nobody is left to tell
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(arrived)
		close(done)
		<-ended
	}
}

// stacks are those of all goroutines but the one that asks, that of the training loop first.
func stacks(name string) []byte {
	all := make([]byte, maxDump)
	all = all[:runtime.Stack(all, true)]
	parts := bytes.Split(bytes.TrimSpace(all), []byte("\n\n"))[1:]
	out := []byte(name + ": the stacks of this worker\n")
	for _, training := range []bool{true, false} {
		for _, part := range parts {
			if bytes.Contains(part, []byte("reftrain.process.run(")) == training {
				out = append(append(out, part...), '\n')
			}
		}
	}
	return out
}
