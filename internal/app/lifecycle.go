package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"time"
)

const (
	// workingMargin is how long the last lines of a run may take to be stored once its workers have ended or were killed.
	workingMargin = 5 * time.Second
	// requestGrace is how long requests under way may take to be answered when the console stops; then they are cut.
	requestGrace = 5 * time.Second
	// stepGrace is what a step of the teardown has when the time for all of them is over.
	stepGrace = 2 * time.Second
	// tidyEvery is the pause before the store's remains are looked at again when that has failed.
	tidyEvery = time.Minute
)

var (
	errStopped = errors.New("the console was stopped")
	errEnded   = errors.New("ended although nothing stopped it")
)

// loop is a part that works until its context ends. That it ends before, with an error or without, ends the console.
type loop struct {
	name string
	run  func(context.Context) error
}

// step is one thing to undo.
type step struct {
	name string
	undo func(context.Context) error
}

// Start begins to serve and to work. It returns at once; see [App.Wait].
func (a *App) Start(ctx context.Context) error {
	if a.agent != nil {
		if err := a.agent.Start(ctx); err != nil {
			return fmt.Errorf("start the embedded agent: %w", err)
		}
	}
	a.acquired("loops", a.endLoops)
	for _, l := range a.loops {
		a.launch(l)
	}
	a.acquired("web server", a.endServer)
	a.launch(loop{"web server", a.serve})
	if a.agent != nil {
		a.acquired("working runs", a.stopWorking)
	}
	a.log.Info("listening", "addr", a.Addr(), "url", "http://"+a.Addr(), "version", a.o.Version, "dev", a.cfg.Dev)
	return nil
}

// launch runs a loop. Its failure is logged and is the cause with which the others end.
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

// panicError is a panic of a loop.
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

func (a *App) serve(ctx context.Context) error {
	if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-ctx.Done() // it is closed before the loops end
	return nil
}

// tidy finishes deletions that an earlier process left behind. Nothing waits for it, so a failure is only tried again.
func (a *App) tidy(ctx context.Context) error {
	for {
		err := a.store.Tidy(ctx)
		if err == nil {
			<-ctx.Done()
			return nil
		}
		if ctx.Err() == nil {
			a.log.Warn("deleted runs still take room", "err", err, "again", tidyEvery)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(tidyEvery):
		}
	}
}

// Addr is the address that the console listens at.
func (a *App) Addr() string { return a.listener.Addr().String() }

// Wait returns when ctx ends, with nil, or at once when a part fails, with its error.
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

// Stop ends everything: first no new requests, then the flows, then the agent with its tasks, then the store. It returns
// soon after ctx ends, whatever hangs. Further calls return what the first one does.
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

// within undoes the step. One that goes on after ctx has ended is left behind, so that those after it have their turn.
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

// endServer lets requests under way end, for a while.
func (a *App) endServer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestGrace)
	defer cancel()
	err := a.server.Shutdown(ctx)
	if err == nil {
		return nil
	}
	a.log.Warn("requests under way are cut", "err", err)
	return a.server.Close()
}

// stopWorking ends the runs that end with the embedded agent as a person would, so that none of them has failed.
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
