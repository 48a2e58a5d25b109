package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"slices"
	"time"
)

const (
	// workingMargin is for storing a run's last lines after its workers have ended.
	workingMargin = 5 * time.Second
	// requestGrace is for pending requests at shutdown.
	requestGrace = 5 * time.Second
	// stepGrace is for each teardown step after the total time is over.
	stepGrace = 2 * time.Second
	// tidyEvery is the pause before it is looked again for what was deleted and still takes room.
	tidyEvery = time.Minute
)

var (
	errStopped = errors.New("the console was stopped")
	errEnded   = errors.New("ended although nothing stopped it")
)

// loop runs until its context ends. If it ends earlier, so does the console.
type loop struct {
	name string
	run  func(context.Context) error
}

// step is a teardown step.
type step struct {
	name string
	undo func(context.Context) error
}

// Start starts serving and working, and returns; see [App.Wait].
func (a *App) Start(ctx context.Context) error {
	if a.agent != nil {
		if err := a.agent.Start(ctx); err != nil {
			return fmt.Errorf("start the embedded agent: %w", err)
		}
	}
	a.acquired("loops", a.endLoops)
	a.followServers(ctx)
	for _, l := range a.loops {
		a.launch(l)
	}
	a.acquired("web server", a.endServer)
	a.launch(loop{"web server", a.serve})
	if a.redirect != nil {
		a.launch(loop{"redirect to TLS", a.redirect.serve})
	}
	if err := a.keepRegistered(); err != nil {
		return err
	}
	if a.agent != nil {
		a.acquired("working runs", a.stopWorking)
	}
	a.log.Info("listening", "addr", a.Addr(), "url", a.url(), "version", a.o.Version, "dev", a.cfg.Dev)
	if !a.cfg.Dev && !a.logIns.IsSetUp() {
		a.log.Info("open the link to make the first administrator", "url", a.url()+a.logIns.SetUpLink())
	}
	return nil
}

// launch runs a loop. A failure is logged and cancels the others with it as cause.
func (a *App) launch(l loop) {
	a.running.Go(func() {
		err := recovered(a.ctx, l.run)
		if a.ctx.Err() != nil {
			if err != nil && !errors.Is(err, context.Canceled) {
				a.log.Warn("a part of the console did not end well", "part", l.name, "err", err)
			}
			return
		}
		if err == nil {
			err = errEnded
		}
		attrs := []any{"part", l.name, "err", err}
		if p := (*panicError)(nil); errors.As(err, &p) {
			attrs = append(attrs, "stack", string(p.stack))
		}
		a.log.Error("a part of the console failed; the console ends", attrs...)
		a.end(fmt.Errorf("%s: %w", l.name, err))
	})
}

type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

func recovered(ctx context.Context, run func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, debug.Stack()}
		}
	}()
	return run(ctx)
}

// tidy has the store ready for lists, and finishes deletions of an earlier process, and those that the archive of logs did not take. Nothing depends on it, so failures
// are just retried.
func (a *App) tidy(ctx context.Context) error {
	if err := a.store.Warm(ctx); err != nil && ctx.Err() == nil {
		a.log.Warn("the first list of runs will take longer", "err", err)
	}
	for {
		err := errors.Join(a.store.Points.Tidy(ctx), a.store.TidyLogs(ctx))
		if err != nil && ctx.Err() == nil {
			a.log.Warn("what was deleted still takes room", "err", err, "again", tidyEvery)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(tidyEvery):
		}
	}
}

// databaseCheck is how often the connection to a database elsewhere is looked at; nothing is asked of it.
const databaseCheck = time.Second

// watchDatabase tells when the connection to the database is lost, and ends the console when another has taken the database.
func (a *App) watchDatabase(ctx context.Context) error {
	if a.store.Gone() == nil { // SQLite
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(databaseCheck)
	defer tick.Stop()
	away := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-a.store.Gone():
			return err
		case <-tick.C:
			if err := a.store.Connected(); err != nil {
				a.health.setStore(err)
				away = true
			} else if away {
				a.health.setStore(nil)
				away = false
			}
		}
	}
}

// Addr is the listening address.
func (a *App) Addr() string { return a.listener.Addr().String() }

// Wait returns nil when ctx ends, or a failed loop's error at once.
func (a *App) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-a.ctx.Done():
	}
	if cause := context.Cause(a.ctx); !errors.Is(cause, errStopped) {
		return cause
	}
	return nil
}

// Stop ends everything: requests, then flows, then the agent with its tasks, then the store. It returns soon after ctx
// ends, whatever hangs. Later calls return the same.
func (a *App) Stop(ctx context.Context) error {
	a.stop.Do(func() {
		var errs []error
		for _, s := range slices.Backward(a.teardown) {
			if err := s.within(ctx); err != nil {
				errs = append(errs, fmt.Errorf("stop %s: %w", s.name, err))
			}
		}
		a.end(errStopped)
		a.stopped = errors.Join(errs...)
	})
	return a.stopped
}

func (a *App) acquired(name string, undo func(context.Context) error) {
	a.teardown = append(a.teardown, step{name, undo})
}

// within runs the step. If it hangs after ctx has ended, it is left behind.
func (s step) within(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- s.undo(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(stepGrace):
		return fmt.Errorf("not done in time: %w", ctx.Err())
	}
}

func (a *App) endLoops(context.Context) error {
	a.end(errStopped)
	a.running.Wait()
	return nil
}

// endServer gives pending requests a while to end.
func (a *App) endServer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestGrace)
	defer cancel()
	if a.redirect != nil {
		_ = a.redirect.server.Close() // nothing under way is lost
	}
	err := a.server.Shutdown(ctx)
	if err == nil {
		return nil
	}
	a.log.Warn("requests under way are cut", "err", err)
	return a.server.Close()
}

// stopWorking stops the embedded agent's runs as a person would, so that none fails.
func (a *App) stopWorking(ctx context.Context) error {
	if a.ctx.Err() != nil {
		return nil // nobody is left to see them end
	}
	a.agent.Cordon()
	ctx, cancel := context.WithTimeout(ctx, a.cfg.Job.KillTimeout+workingMargin)
	defer cancel()
	if err := a.actions.StopWorking(ctx); err != nil {
		a.log.Warn("runs are stopped with the agent", "err", err)
	}
	return nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
