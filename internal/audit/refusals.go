package audit

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/ratelimit"
)

// Refusals of one user for one action that have an entry each: so many at once, and then one in a while.
const (
	RefusalsAtOnce = 30
	refusalEvery   = time.Second
)

// Refusals bounds what who is refused can add to the log. What is left out is counted, and the next entry of the same user and
// action tells how many there were.
type Refusals struct {
	to     Appender
	now    func() time.Time
	counts *ratelimit.Limiter

	mu   sync.Mutex
	left map[string]leftOut
}

// Appender is the log.
type Appender interface {
	AppendAlone(ctx context.Context, entries ...Entry) error
}

// leftOut is what has no entry.
type leftOut struct {
	n     int
	since time.Time
}

// NewRefusals returns Refusals of a log, of so many at once.
func NewRefusals(to Appender, atOnce int, now func() time.Time) *Refusals {
	return &Refusals{to: to, now: now, counts: ratelimit.New(atOnce, refusalEvery, now), left: map[string]leftOut{}}
}

// AppendAlone appends entries but for the refusals that are too many.
func (r *Refusals) AppendAlone(ctx context.Context, entries ...Entry) error {
	kept := make([]Entry, 0, len(entries))
	for _, e := range entries {
		if e.Outcome != Refused || e.Actor.User == "" || r.admit(&e) {
			kept = append(kept, e)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return r.to.AppendAlone(ctx, kept...)
}

// admit reports whether a refusal has an entry, which then tells what was left out before.
func (r *Refusals) admit(e *Entry) bool {
	key := string(e.Actor.User) + " " + e.Action
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.left[key]
	if r.counts.Take(key) > 0 {
		if before.n == 0 {
			before.since = r.now()
		}
		before.n++
		r.left[key] = before
		return false
	}
	if before.n > 0 {
		e.Reason = fmt.Sprintf("%s (and %d more since %s, which have no entry)", e.Reason, before.n, before.since.UTC().Format(time.RFC3339))
		delete(r.left, key)
	}
	return true
}
