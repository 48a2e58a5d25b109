package vault

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// lookEvery is how often a stored secret is read again: Vault tells nobody of a change.
	lookEvery = time.Minute
	// againAfter and againMax are the waits after a failure.
	againAfter = time.Second
	againMax   = 30 * time.Second
)

// followed is a path that is read, and who wants to know of changes.
type followed struct {
	mu      sync.Mutex
	secret  *secret // nil before the first
	changed []func(ctx context.Context) error
}

// at returns the path's, made if need be.
func (c *Client) at(path string) *followed {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.secrets[path]
	if f == nil {
		f = &followed{}
		c.secrets[path] = f
	}
	return f
}

// Follow calls fn with the values at references, all of one path, whenever one of them has changed, from within [Client.Run], which has to begin
// later. What fn fails with is reported, and fn is called again.
func (c *Client) Follow(fn func(ctx context.Context, values []string) error, refs ...Ref) {
	f := c.at(refs[0].Path)
	var before []string
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.secret != nil {
		before, _ = values(f.secret, refs) // else the first is a change
	}
	f.changed = append(f.changed, func(ctx context.Context) error {
		now, err := values(f.secret, refs)
		if err != nil {
			return err
		}
		if equal(before, now) {
			return nil
		}
		if err := fn(ctx, now); err != nil {
			return err
		}
		before = now
		return nil
	})
}

func values(s *secret, refs []Ref) ([]string, error) {
	out := make([]string, len(refs))
	for i, r := range refs {
		var err error
		if out[i], err = s.value(r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// Run keeps the token alive and follows all paths that were read, until ctx ends. report is told what is wrong with one of
// them, "" being the token, and nil when it is right again.
func (c *Client) Run(ctx context.Context, report func(what string, err error)) error {
	var running sync.WaitGroup
	defer running.Wait()
	c.mu.Lock()
	paths := maps.Clone(c.secrets)
	c.mu.Unlock()
	for path, f := range paths {
		if !f.wanted() {
			continue
		}
		running.Go(func() {
			c.keep(ctx, func(err error) { report(path, err) }, f.due, func(ctx context.Context) error { return c.refresh(ctx, path, f) })
		})
	}
	c.keep(ctx, func(err error) { report("", err) }, func() time.Time {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.token.due()
	}, c.renewToken)
	return nil
}

// keep does something whenever it is due, and again soon after a failure.
func (c *Client) keep(ctx context.Context, report func(error), due func() time.Time, do func(context.Context) error) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = againAfter, againMax
	for {
		next := lookEvery // whether there is a token by now, for example
		if at := due(); !at.IsZero() {
			next = max(time.Until(at), againAfter)
		}
		wait.Reset()
		for failed := false; ; failed = true {
			select {
			case <-time.After(next):
			case <-ctx.Done():
				return
			}
			call, cancel := context.WithTimeout(ctx, callTimeout)
			err := do(call)
			cancel()
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				if failed {
					report(nil)
				}
				break
			}
			report(err)
			next = wait.NextBackOff()
		}
	}
}

// wanted reports whether there is something to follow: a path that could not be read is none of the console's settings.
func (f *followed) wanted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.secret != nil || len(f.changed) > 0
}

// due is when the path is to be looked at: early enough that a lease outlives some failures.
func (f *followed) due() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.secret == nil {
		return time.Now()
	}
	if f.secret.lease == "" || f.secret.lasts == 0 {
		return f.secret.since.Add(lookEvery + time.Duration(rand.Int64N(int64(lookEvery/10)))) //nolint:gosec // spreads load
	}
	return f.secret.since.Add(f.secret.lasts * 2 / 3)
}

// refresh renews the path's lease, or reads it again, and tells of changes.
func (c *Client) refresh(ctx context.Context, path string, f *followed) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.secret; s != nil && s.lease != "" && s.renewable && time.Since(s.since) < s.lasts {
		renewed, err := c.renew(ctx, s)
		if away(err) {
			return explain("renew the lease of "+path, err) // it may still be alive
		}
		if renewed {
			return f.tell(ctx)
		}
	}
	s, err := c.read(ctx, path)
	if err != nil {
		return err
	}
	f.secret = s
	return f.tell(ctx)
}

// tell calls all who follow the path; most find that their values are what they were.
func (f *followed) tell(ctx context.Context) error {
	var errs []error
	for _, changed := range f.changed {
		errs = append(errs, changed(ctx))
	}
	return errors.Join(errs...)
}

// renew reports whether the lease lasts about as long again.
func (c *Client) renew(ctx context.Context, s *secret) (bool, error) {
	as, _, err := c.logIn(ctx, "")
	if err != nil {
		return false, err
	}
	since := time.Now()
	got, err := as.Sys().RenewWithContext(ctx, s.lease, 0)
	if err != nil || got == nil {
		return false, err
	}
	left := seconds(got.LeaseDuration)
	if left < s.lasts/2 {
		return false, nil // close to the longest that Vault lets it last: another one in time
	}
	s.since, s.lasts, s.renewable = since, left, got.Renewable
	return true, nil
}
