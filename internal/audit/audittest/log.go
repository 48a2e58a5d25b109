// Package audittest is an audit log in memory, for tests.
package audittest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/audit"
)

// Log is an audit log. The zero Log is empty.
type Log struct {
	mu   sync.Mutex
	rows []audit.Row
}

// Append appends entries.
func (l *Log) Append(entries ...audit.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		e.Seq, e.Logged = int64(len(l.rows)+1), e.At
		e = e.Clean()
		l.rows = append(l.rows, audit.Row{Entry: e, Hash: l.end().Next(e.AppendCanonical(nil))})
	}
}

func (l *Log) end() (h audit.Hash) {
	if n := len(l.rows); n > 0 {
		h = l.rows[n-1].Hash
	}
	return h
}

// Search is that of the store.
func (l *Log) Search(_ context.Context, f audit.Filter) (p audit.Page, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range slices.Backward(l.rows) {
		switch {
		case f.Before > 0 && r.Seq >= f.Before, !f.Matches(r.Entry):
		case len(p.Rows) == f.Limit:
			p.Next = p.Rows[f.Limit-1].Seq
			p.Back = p.Rows[f.Limit-1].Logged
			return p, nil
		default:
			p.Rows = append(p.Rows, r)
		}
	}
	return p, nil
}

// Export is that of the store.
func (l *Log) Export(_ context.Context, f audit.Filter, fn func(audit.Row, audit.Hash) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var prev audit.Hash
	for _, r := range l.rows {
		if f.Matches(r.Entry) {
			if err := fn(r, prev); err != nil {
				return err
			}
		}
		prev = r.Hash
	}
	return nil
}

// Head is that of the store.
func (l *Log) Head(context.Context) (audit.Head, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return audit.Head{Seq: int64(len(l.rows)), Hash: l.end()}, nil
}

// Verified is that of the store.
func (l *Log) Verified() audit.Verified {
	head, _ := l.Head(context.Background()) // cannot fail
	return audit.Verified{Verdict: audit.Verdict{Entries: head.Seq, First: 1, Last: head.Seq, Hash: head.Hash.String()}, At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Whole: true}
}
