package auditlog

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/audit"
)

// Options configures [Log.Run].
type Options struct {
	Retention    time.Duration // how long entries are kept; 0 for ever
	Destinations []string      // that must have got an entry before it is removed
	Logger       *slog.Logger
}

const (
	indexEvery  = time.Second
	verifyEvery = time.Minute
	cutEvery    = time.Hour
	// verifyAgain is when the whole log is verified again; until then, what is new.
	verifyAgain = 24 * time.Hour
	// verifyRows is how many entries are verified at once: a long log takes hours, at less than a percent of a processor.
	verifyRows = 20_000
)

// verified is the state of the verification in the background.
type verified struct {
	mu    sync.Mutex
	state audit.Verified
}

// Verified returns how far the log is verified.
func (l *Log) Verified() audit.Verified {
	l.verified.mu.Lock()
	defer l.verified.mu.Unlock()
	return l.verified.state
}

// Run indexes, verifies and shortens the log until ctx ends. What fails is tried again.
func (l *Log) Run(ctx context.Context, o Options) error {
	index, verify, cut := time.NewTicker(indexEvery), time.NewTicker(verifyEvery), time.NewTicker(cutEvery)
	defer index.Stop()
	defer verify.Stop()
	defer cut.Stop()
	check, begun := l.NewVerification(), time.Now()
	tell := func(err error) {
		if err != nil && ctx.Err() == nil {
			o.Logger.Warn("the audit log is not maintained; it is tried again", "err", err)
		}
	}
	tell(l.verify(ctx, check, o.Logger))
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-index.C:
			for more := true; more && ctx.Err() == nil; {
				var err error
				more, err = l.Index(ctx)
				tell(err)
			}
		case <-verify.C:
			if time.Since(begun) > verifyAgain && l.Verified().Whole {
				check, begun = l.NewVerification(), time.Now()
			}
			tell(l.verify(ctx, check, o.Logger))
		case <-cut.C:
			if o.Retention > 0 {
				_, err := l.Cut(ctx, time.Now().Add(-o.Retention), o.Destinations)
				tell(err)
			}
		}
	}
}

// verify goes on with a verification.
func (l *Log) verify(ctx context.Context, check *Verification, log *slog.Logger) error {
	whole, err := check.Next(ctx, verifyRows)
	if err != nil {
		return err
	}
	l.verified.mu.Lock()
	defer l.verified.mu.Unlock()
	was := l.verified.state
	l.verified.state = audit.Verified{Verdict: check.Verdict(), At: time.Now(), Whole: whole}
	if n := l.verified.state.Count; n > was.Count {
		log.Error("the audit log was tampered with, or is damaged", "problems", n, "first", l.verified.state.Problems[0].What)
	}
	return nil
}
