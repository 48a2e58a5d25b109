package cli

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
)

const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// patiently repeats op while the console is away, for at most limit, and says on stderr when it goes and comes back.
func patiently[T any](ctx context.Context, p *process, limit time.Duration, op func() (T, error)) (T, error) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = min(firstRetry, p.poll), lastRetry
	var since time.Time
	out, err := backoff.Retry(ctx, func() (T, error) {
		out, err := op()
		if err != nil && (ctx.Err() != nil || !fault.Of(err).Kind.Temporary()) {
			err = backoff.Permanent(err)
		}
		return out, err
	}, backoff.WithBackOff(wait), backoff.WithMaxElapsedTime(max(limit, time.Nanosecond)), backoff.WithNotify(func(err error, _ time.Duration) {
		if since.IsZero() {
			since = p.now()
			p.say("%s", reason(err)+"; trying again for up to "+limit.String())
		}
	}))
	if err == nil && !since.IsZero() {
		p.say("the console answers again after %s", age(p.now().Sub(since)))
	}
	return out, err
}

// reason is an error without the advice that does not fit while trying again.
func reason(err error) string {
	var away *client.Unreachable
	if errors.As(err, &away) {
		return "cannot reach the console at " + away.Base + ": " + away.Cause.Error()
	}
	return err.Error()
}
