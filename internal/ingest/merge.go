package ingest

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

const (
	// mergePatience is how long late lines of a run wait for those of its other streams that may have earlier ones, if not said otherwise.
	mergePatience = 2 * time.Second
	// returning is how many times as long they wait for a stream that could not be read just now: that is tried again within it.
	returning = 10
)

// merger brings lines into the order of their times that were printed while nobody read them: of a run's streams that catch up, the one
// with the earliest lines goes first. Lines that come as they are printed never wait.
type merger struct {
	patience time.Duration

	mu   sync.Mutex
	runs map[run.ID]map[*tail]*place
}

// place is how far a stream that catches up has come.
type place struct {
	next    time.Time // no line that is still to come is earlier
	state   placeState
	ignored bool // others have waited for it long enough
	moved   chan struct{}
}

type placeState int

const (
	placeRead   placeState = iota // lines are awaited from it
	placeAway                     // it cannot be read now
	placeStored                   // its lines are here: they wait for their turn, or are being stored
)

func newMerger(patience time.Duration) *merger {
	return &merger{patience: cmp.Or(patience, mergePatience), runs: map[run.ID]map[*tail]*place{}}
}

// at tells that a stream catches up, from a time on.
func (m *merger) at(id run.ID, t *tail, next time.Time, state placeState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.runs[id] == nil {
		m.runs[id] = map[*tail]*place{}
	}
	p := m.runs[id][t]
	if p == nil {
		p = &place{}
		m.runs[id][t] = p
	} else {
		close(p.moved)
	}
	if next.After(p.next) {
		p.ignored = false // it moves again
	}
	p.moved, p.next, p.state = make(chan struct{}), next, state
}

// leave tells that a stream has caught up, or ended.
func (m *merger) leave(id run.ID, t *tail) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.runs[id][t]; p != nil {
		close(p.moved)
		delete(m.runs[id], t)
		if len(m.runs[id]) == 0 {
			delete(m.runs, id)
		}
	}
}

// turn waits until no other stream of a run that catches up may have lines from before a time.
func (m *merger) turn(ctx context.Context, id run.ID, t *tail, at time.Time) {
	began := time.Now()
	for ctx.Err() == nil {
		other, p := m.earlier(id, t, at)
		if other == nil {
			return
		}
		atMost := returning*m.patience - time.Since(began)
		patience := min(m.patience, atMost)
		switch p.state {
		case placeAway:
			patience = atMost
		case placeStored:
			patience = time.Hour // the store decides
		}
		timer := time.NewTimer(patience)
		select {
		case <-p.moved:
		case <-ctx.Done():
		case <-timer.C:
			m.ignore(id, other, p.moved)
		}
		timer.Stop()
	}
}

// ignore has nobody wait for a stream that has not moved since.
func (m *merger) ignore(id run.ID, t *tail, since chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.runs[id][t]; p != nil && p.moved == since {
		p.ignored = true
	}
}

// earlier is the stream with the earliest lines before a time, which waits for nobody.
func (m *merger) earlier(id run.ID, t *tail, at time.Time) (other *tail, found place) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for o, p := range m.runs[id] {
		if o != t && !p.ignored && p.next.Before(at) {
			at, other, found = p.next, o, *p
		}
	}
	return other, found
}
