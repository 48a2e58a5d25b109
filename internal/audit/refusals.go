package audit

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/ratelimit"
)

// Refusals of one user for one action that have an entry each: so many at once, and then one in a while.
const (
	RefusalsAtOnce = 30
	refusalEvery   = time.Second
)

// Refusals bounds what who is refused can add to the log. What is left out is counted: the next entry of the same user and action
// tells how many there were, or one that [Refusals.Run] appends.
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

// leftOut is what has no entry yet.
type leftOut struct {
	last  Entry
	n     int // with the last
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
		before.last = *e
		r.left[key] = before
		return false
	}
	if before.n > 0 {
		e.Reason = before.told(e.Reason, before.n)
		delete(r.left, key)
	}
	return true
}

func (l leftOut) told(reason string, more int) string {
	if more == 0 {
		return reason
	}
	return fmt.Sprintf("%s (and %d more since %s, which have no entry)", reason, more, l.since.UTC().Format(time.RFC3339))
}

const (
	// tellEvery is how late the log tells what was left out, of those who do not ask again.
	tellEvery = time.Minute
	// tellLimit bounds the last of it, when the console stops.
	tellLimit = 2 * time.Second
)

// Run appends, until ctx ends and then once more, the newest refusals that were left out, with how many there were.
func (r *Refusals) Run(ctx context.Context) error {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellLimit)
			defer cancel()
			return r.Tell(end)
		case <-tick.C:
			_ = r.Tell(ctx) // again at the next tick, and whoever is refused meanwhile has it logged
		}
	}
}

// Tell appends what was left out so far.
func (r *Refusals) Tell(ctx context.Context) error {
	r.mu.Lock()
	left := r.left
	r.left = map[string]leftOut{}
	r.mu.Unlock()
	entries := make([]Entry, 0, len(left))
	for _, l := range left {
		l.last.Reason = l.told(l.last.Reason, l.n-1)
		entries = append(entries, l.last)
	}
	if len(entries) == 0 {
		return nil
	}
	slices.SortFunc(entries, func(a, b Entry) int { return a.At.Compare(b.At) })
	err := r.to.AppendAlone(ctx, entries...)
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		for key, l := range left {
			if newer, ok := r.left[key]; ok {
				l.last, l.n = newer.last, l.n+newer.n
			}
			r.left[key] = l
		}
	}
	return err
}
