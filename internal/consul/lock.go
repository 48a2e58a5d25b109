package consul

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
)

const (
	// sessionTTL is how long Consul lets a holder be silent. It may take twice as long.
	sessionTTL = 15 * time.Second
	// lockDelay is how long nobody gets a lock whose holder vanished, which may not have noticed yet.
	lockDelay = 15 * time.Second
)

var errLockLost = errors.New("the lock in Consul was lost")

// Lock waits for the lock of a key, runs fn while it is held, and releases it. The context of fn ends when the lock may be lost: fn
// must then stop what only one may do. It returns what fn returns, or why there was no lock.
func (c *Client) Lock(ctx context.Context, key, holder string, fn func(context.Context) error) error {
	session, err := c.openSession(ctx, key)
	if err != nil {
		return err
	}
	held, lose := context.WithCancelCause(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer lose(nil)
	running.Go(func() { c.renew(held, session, lose) })
	defer c.closeSession(context.WithoutCancel(ctx), session)

	index, err := c.acquire(held, &api.KVPair{Key: key, Value: []byte(holder), Session: session})
	if err != nil {
		return err
	}
	running.Go(func() { c.guard(held, key, session, index, lose) })
	return fn(held)
}

func (c *Client) openSession(ctx context.Context, key string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	entry := &api.SessionEntry{Name: "lock of " + key, TTL: sessionTTL.String(), LockDelay: lockDelay, Behavior: api.SessionBehaviorRelease}
	id, _, err := c.api.Session().Create(entry, (&api.WriteOptions{}).WithContext(ctx))
	return id, c.classify("open a session in Consul", err)
}

// closeSession also releases the lock, without delay.
func (c *Client) closeSession(ctx context.Context, session string) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if _, err := c.api.Session().Destroy(session, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		c.log.Warn("a session in Consul ends by itself", "session", session, "err", err)
	}
}

// renew keeps the session alive. Without an answer for its TTL it counts as lost.
func (c *Client) renew(ctx context.Context, session string, lose context.CancelCauseFunc) {
	last := time.Now()
	for pause(ctx, sessionTTL/3) == nil {
		entry, err := c.renewOnce(ctx, session)
		switch {
		case err == nil && entry != nil:
			last = time.Now()
		case err == nil:
			lose(fmt.Errorf("%w: its session ended", errLockLost))
			return
		case time.Since(last) > sessionTTL-sessionTTL/3:
			lose(fmt.Errorf("%w: %w", errLockLost, c.classify("renew a session in Consul", err)))
			return
		}
	}
}

func (c *Client) renewOnce(ctx context.Context, session string) (*api.SessionEntry, error) {
	ctx, cancel := context.WithTimeout(ctx, sessionTTL/3)
	defer cancel()
	entry, _, err := c.api.Session().Renew(session, (&api.WriteOptions{}).WithContext(ctx))
	return entry, err
}

// acquire waits until the key is free, and returns the index at which it is ours.
func (c *Client) acquire(ctx context.Context, pair *api.KVPair) (uint64, error) {
	wait, index := backOff(), uint64(0)
	for {
		now, next, err := c.read(ctx, pair.Key, index)
		if cause := context.Cause(ctx); cause != nil {
			return 0, cause
		}
		switch {
		case err != nil:
			c.log.Warn("a lock in Consul cannot be read", "key", pair.Key, "err", err)
		case now != nil && now.Session == pair.Session:
			return next, nil
		case now != nil && now.Session != "":
			if index = next; pause(ctx, leastPause) == nil {
				continue
			}
		default:
			index = 0
			if c.tryAcquire(ctx, pair) {
				continue
			}
		}
		if pause(ctx, wait.NextBackOff()) != nil { // the lock-delay has no event
			return 0, context.Cause(ctx)
		}
	}
}

func (c *Client) tryAcquire(ctx context.Context, pair *api.KVPair) bool {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	got, _, err := c.api.KV().Acquire(pair, (&api.WriteOptions{}).WithContext(ctx))
	return got && err == nil
}

// read returns a key once its index is beyond index.
func (c *Client) read(ctx context.Context, key string, index uint64) (*api.KVPair, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, blockAtMost)
	defer cancel()
	q := (&api.QueryOptions{RequireConsistent: true, WaitIndex: index, WaitTime: blockFor}).WithContext(ctx)
	pair, meta, err := c.api.KV().Get(key, q)
	if err != nil {
		return nil, 0, c.classify("read "+key+" in Consul", err)
	}
	return pair, meta.LastIndex, nil
}

// guard loses the lock when the key is another's. What cannot be read is left to the session.
func (c *Client) guard(ctx context.Context, key, session string, index uint64, lose context.CancelCauseFunc) {
	for {
		now, next, err := c.read(ctx, key, index)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			index = 0
			_ = pause(ctx, time.Second)
		case now == nil || now.Session != session:
			lose(fmt.Errorf("%w: another has it, or nobody", errLockLost))
			return
		default:
			index = next
			_ = pause(ctx, leastPause)
		}
	}
}
