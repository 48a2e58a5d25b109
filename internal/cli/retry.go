package cli

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// patiently repeats op while the console is away, for at most limit, and says on stderr when it goes and comes back.
func (p *process) patiently(ctx context.Context, limit time.Duration, op func() error) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = min(firstRetry, p.poll), lastRetry
	var since time.Time
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := op()
		if err != nil && !passing(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(wait), backoff.WithMaxElapsedTime(max(limit, time.Nanosecond)), backoff.WithNotify(func(err error, _ time.Duration) {
		if since.IsZero() {
			since = p.now()
			p.say("%s", reason(err)+"; trying again for up to "+limit.String())
		}
	}))
	if err == nil && !since.IsZero() {
		p.say("the console answers again after %s", age(p.now().Sub(since)))
	}
	return err
}

// passing reports whether an error may go away by itself.
func passing(err error) bool {
	var away *unreachable
	var refused *refusal
	switch {
	case errors.As(err, &away):
		return true
	case errors.As(err, &refused):
		return refused.passes()
	}
	return false
}

// reason is an error without the advice that does not fit while trying again.
func reason(err error) string {
	var away *unreachable
	if errors.As(err, &away) {
		return "cannot reach the console at " + away.base + ": " + away.cause.Error()
	}
	return err.Error()
}
