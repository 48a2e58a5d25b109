package forward

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/cotrain/cotrain/internal/audit"
)

// Log is the part of the audit log that is forwarded.
type Log interface {
	Head(ctx context.Context) (audit.Head, error)
	// After returns up to n entries after one, oldest first.
	After(ctx context.Context, seq int64, n int) ([]audit.Row, error)
	// Forwarded returns the newest entry that a destination has got, and SetForwarded sets it.
	Forwarded(ctx context.Context, destination string) (int64, error)
	SetForwarded(ctx context.Context, destination string, seq int64) error
}

// Destination takes entries.
type Destination interface {
	// Name is that of its mark in the store: for ever.
	Name() string
	// Send sends entries in order, and returns once they were taken. After an error they are sent again.
	Send(ctx context.Context, rows []audit.Row) error
	Close() error
}

// Options configures [Run].
type Options struct {
	Log         Log
	Destination Destination
	Logger      *slog.Logger
	// Lags is told why a destination has not got the newest entries for a while, and nil once it has.
	Lags func(error)
}

const (
	// look is how often new entries are looked for.
	look = time.Second
	// sentAtOnce is how many entries are sent before the mark moves: those are sent again after a crash.
	sentAtOnce = 100
	// firstPause and lastPause are between tries; they double.
	firstPause, lastPause = time.Second, time.Minute
	// lagAfter is how long a destination may fail before that is told.
	lagAfter = time.Minute
)

// Run forwards until ctx ends.
func Run(ctx context.Context, o Options) error {
	f := forwarder{Options: o}
	defer func() { _ = o.Destination.Close() }() // nothing is lost: the mark says what was taken
	for pause := look; ; {
		err := f.round(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if pause = f.pause(pause, err); pause == look {
			f.tell(nil)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

type forwarder struct {
	Options
	at      int64
	known   bool // at is
	failing time.Time
	told    bool
}

// pause is that before the next round.
func (f *forwarder) pause(last time.Duration, err error) time.Duration {
	if err == nil {
		f.failing = time.Time{}
		return look
	}
	if f.failing.IsZero() {
		f.failing, last = time.Now(), firstPause/2
		f.Logger.Warn("the audit log is not forwarded; the console keeps trying", "to", f.Destination.Name(), "err", err)
	}
	if time.Since(f.failing) >= lagAfter {
		f.tell(err)
	}
	return min(max(2*last, firstPause+1), lastPause)
}

func (f *forwarder) tell(err error) {
	if told := err != nil; told != f.told {
		f.told = told
		if err != nil {
			err = fmt.Errorf("forward the audit log to %s: %w", f.Destination.Name(), err)
		} else {
			f.Logger.Info("the audit log is forwarded again", "to", f.Destination.Name())
		}
		f.Lags(err)
	}
}

// round sends all that is new.
func (f *forwarder) round(ctx context.Context) error {
	head, err := f.Log.Head(ctx)
	if err != nil {
		return err
	}
	if !f.known {
		if f.at, err = f.Log.Forwarded(ctx, f.Destination.Name()); err != nil {
			return err
		}
		f.known = true
	}
	for f.at < head.Seq {
		rows, err := f.Log.After(ctx, f.at, sentAtOnce)
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := f.Destination.Send(ctx, rows); err != nil {
			return err
		}
		last := rows[len(rows)-1].Seq
		if err := f.Log.SetForwarded(ctx, f.Destination.Name(), last); err != nil {
			return err
		}
		f.at = last
	}
	return nil
}
