package auditlog

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/store/db"
)

// alone collects the entries of callers at the same time: while one writes, those that come wait, and one of them writes for all.
type alone struct {
	mu      sync.Mutex
	writing bool
	waiting *batch
}

// batch is the entries of one transaction.
type batch struct {
	entries []audit.Entry
	lead    chan struct{} // whoever receives from it writes
	done    chan struct{}
	err     error
}

// writeLimit bounds the writing of a batch, which no single caller may cancel.
const writeLimit = 30 * time.Second

// AppendAlone appends entries about what changes nothing else in the store, such as a refusal or a log-in, in a transaction that
// callers at the same time share. If ctx ends meanwhile, they may be appended or not.
func (l *Log) AppendAlone(ctx context.Context, entries ...audit.Entry) error {
	for i := range entries {
		entries[i].Outcome = cmp.Or(entries[i].Outcome, audit.Done)
	}
	b := l.alone.join(entries)
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return ctx.Err()
	case <-b.lead:
	}
	l.alone.close(b)
	b.err = l.write(context.WithoutCancel(ctx), b.entries)
	close(b.done)
	l.alone.next()
	return b.err
}

// join adds entries to the batch that waits.
func (a *alone) join(entries []audit.Entry) *batch {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting == nil {
		a.waiting = &batch{lead: make(chan struct{}, 1), done: make(chan struct{})}
		if !a.writing {
			a.writing = true
			a.waiting.lead <- struct{}{}
		}
	}
	a.waiting.entries = append(a.waiting.entries, entries...)
	return a.waiting
}

// close keeps further entries out of the batch that waits.
func (a *alone) close(b *batch) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting == b {
		a.waiting = nil
	}
}

// next has one of those who wait write.
func (a *alone) next() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.writing = a.waiting != nil; a.writing {
		a.waiting.lead <- struct{}{}
	}
}

func (l *Log) write(ctx context.Context, entries []audit.Entry) error {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	if err := l.db.Write(ctx, func(tx *db.Tx) error { return appendAll(ctx, tx, entries) }); err != nil {
		return fmt.Errorf("append to the audit log: %w", err)
	}
	return nil
}
