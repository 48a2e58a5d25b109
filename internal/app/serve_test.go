package app

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"
)

// failing is a service of which a part fails, or that a signal stops.
type failing struct {
	err     error
	stopped time.Duration // what it was given to stop
}

func (f *failing) Wait(ctx context.Context) error {
	if f.err == nil {
		<-ctx.Done()
	}
	return f.err
}

func (f *failing) Stop(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	deadline, _ := ctx.Deadline()
	f.stopped = time.Until(deadline)
	return nil
}

func TestAServiceThatFailsEndsTheProgramWithItsCause(t *testing.T) {
	t.Parallel()
	f := &failing{err: errors.New("watch: the moon is gone")}
	err := attend(t.Context(), f, slog.New(slog.DiscardHandler), time.Hour)
	if !errors.Is(err, f.err) || f.stopped <= 0 || f.stopped > stopMargin {
		t.Errorf("%v, after %v to stop", err, f.stopped)
	}
}

func TestAServiceThatASignalEndsHasItsTimeToStop(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := &failing{}
	if err := attend(ctx, f, slog.New(slog.DiscardHandler), time.Hour); err != nil || f.stopped <= stopMargin {
		t.Errorf("%v, after %v to stop", err, f.stopped)
	}
}
