package apitest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/audit"
)

// AuditLog is an audit log in memory. The zero AuditLog is empty.
type AuditLog struct {
	mu   sync.Mutex
	rows []audit.Row
}

// Append appends entries.
func (l *AuditLog) Append(entries ...audit.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		e.Seq, e.Logged = int64(len(l.rows)+1), e.At
		e = e.Clean()
		l.rows = append(l.rows, audit.Row{Entry: e, Hash: l.end().Next(e.AppendCanonical(nil))})
	}
}

func (l *AuditLog) end() (h audit.Hash) {
	if n := len(l.rows); n > 0 {
		h = l.rows[n-1].Hash
	}
	return h
}

// Search is for [api.Audit].
func (l *AuditLog) Search(_ context.Context, f audit.Filter) (p audit.Page, err error) {
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

// Export is for [api.Audit].
func (l *AuditLog) Export(_ context.Context, f audit.Filter, fn func(audit.Row, audit.Hash) error) error {
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

// Head is for [api.Audit].
func (l *AuditLog) Head(context.Context) (audit.Head, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return audit.Head{Seq: int64(len(l.rows)), Hash: l.end()}, nil
}

// Verified is for [api.Audit].
func (l *AuditLog) Verified() audit.Verified {
	head, _ := l.Head(context.Background()) // cannot fail
	return audit.Verified{Verdict: audit.Verdict{Entries: head.Seq, First: 1, Last: head.Seq, Hash: head.Hash.String()}, At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Whole: true}
}
