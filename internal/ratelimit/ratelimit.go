package ratelimit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxKeys bounds how many are counted apart. Whoever comes beyond shares one limit: to forget somebody instead would let an
// attacker with many addresses start anew.
const maxKeys = 10_000

// Limiter limits each key to a rate, after a burst.
type Limiter struct {
	every time.Duration
	burst int
	now   func() time.Time

	mu    sync.Mutex
	keys  map[string]*rate.Limiter
	rest  *rate.Limiter
	swept time.Time
}

// New returns a Limiter of burst at once, and then one every so often.
func New(burst int, every time.Duration, now func() time.Time) *Limiter {
	l := &Limiter{every: every, burst: burst, now: now, keys: map[string]*rate.Limiter{}}
	l.rest = l.fresh()
	return l
}

// Take counts one for a key, and returns zero; or it counts nothing, and returns how long to wait.
func (l *Limiter) Take(key string) time.Duration { return l.TakeN(key, 1) }

// TakeN is Take of n at once, of which no more count than a burst has.
func (l *Limiter) TakeN(key string, n int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	r := l.of(key, now).ReserveN(now, min(n, l.burst))
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// Give gives back n that [Limiter.TakeN] has taken for what was not done.
func (l *Limiter) Give(key string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.of(key, now).ReserveN(now, -min(n, l.burst))
}

// Wait returns how long the key must wait before [Limiter.Take] counts one, zero for not at all.
func (l *Limiter) Wait(key string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	lack := 1 - l.of(key, now).TokensAt(now)
	return max(0, time.Duration(lack*float64(l.every)))
}

func (l *Limiter) of(key string, now time.Time) *rate.Limiter {
	if known, ok := l.keys[key]; ok {
		return known
	}
	if len(l.keys) >= maxKeys {
		l.sweep(now)
	}
	if len(l.keys) >= maxKeys {
		return l.rest
	}
	l.keys[key] = l.fresh()
	return l.keys[key]
}

func (l *Limiter) fresh() *rate.Limiter { return rate.NewLimiter(rate.Every(l.every), l.burst) }

// sweep forgets those who are as if they had never come, once in a while.
func (l *Limiter) sweep(now time.Time) {
	if now.Sub(l.swept) < l.every {
		return
	}
	l.swept = now
	for key, known := range l.keys {
		if known.TokensAt(now) >= float64(l.burst) {
			delete(l.keys, key)
		}
	}
}
