package auth

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/inbound"
)

// limit is how many failures there may be in a time.
type limit struct {
	most   int
	within time.Duration
}

// The limits of failed log-ins, after OWASP's device cookies. A browser in which the user has signed in before has its own
// count, so that others cannot keep it out. All the rest share counts: by name and network, so that one network cannot keep
// other networks out; by network, against one password tried with many names; and by name, against one name tried from many
// networks, wide enough that few could use it to keep somebody out, who then still has the known browsers.
var (
	perDevice  = limit{10, 15 * time.Minute}
	perUserNet = limit{10, 15 * time.Minute}
	perNet     = limit{50, 15 * time.Minute}
	perUser    = limit{100, time.Hour}
)

// counter is a count of failures: its key and its limit.
type counter struct {
	key string
	limit
}

// attempts are the counters of a log-in, from a device in which the user has signed in before, or "". They are of the password that
// has the hash: who gets another one, from wherever, is not kept out by what was tried before.
func attempts(ctx context.Context, user, device, hash string) []counter {
	if device != "" {
		return []counter{{"device " + keyOf(device) + " " + keyOf(hash), perDevice}}
	}
	net, of := inbound.Of(ctx).Network().String(), "user "+user+" "+keyOf(hash)
	return []counter{{of + " " + net, perUserNet}, {"net " + net, perNet}, {of, perUser}}
}

// proofs are the counters of who is signed in and shows the password, counted apart from log-ins: nobody else can lock them out.
func proofs(user access.UserID, hash string) []counter {
	return []counter{{"password " + string(user) + " " + keyOf(hash), perDevice}}
}

// window counts the failures since its begin.
type window struct {
	begin time.Time
	count int
	limit
}

// lockout counts failures in memory: about as many keys as passwords can be checked in an hour.
type lockout struct {
	now     func() time.Time
	mu      sync.Mutex
	windows map[string]*window
}

func newLockout(now func() time.Time) *lockout {
	return &lockout{now: now, windows: map[string]*window{}}
}

// begin counts an attempt as failed until it is forgiven, so that many at once are not more than allowed. Where there were too
// many before it is [fault.ErrRateLimited], and not counted.
func (l *lockout) begin(counters []counter) (forgive func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for _, c := range counters {
		if w := l.windows[c.key]; w != nil && w.count >= w.most && now.Sub(w.begin) < w.within {
			minutes := (w.within - now.Sub(w.begin) + time.Minute - 1) / time.Minute
			return nil, fault.New(fault.ErrRateLimited, "There were too many failed log-ins.", fmt.Sprintf("Try again in %d min, or in a browser in which you have signed in before.", minutes))
		}
	}
	for _, c := range counters {
		w := l.windows[c.key]
		if w == nil || now.Sub(w.begin) >= w.within {
			w = &window{begin: now, limit: c.limit}
			l.windows[c.key] = w
		}
		w.count++
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, c := range counters {
			if w := l.windows[c.key]; w != nil && w.count > 0 {
				w.count--
			}
		}
	}, nil
}

// sweep forgets what counts no more.
func (l *lockout) sweep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for key, w := range l.windows {
		if now.Sub(w.begin) >= w.within || w.count == 0 {
			delete(l.windows, key)
		}
	}
}
