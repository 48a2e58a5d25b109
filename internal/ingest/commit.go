package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// commitRequest is a batch to be stored; done gets the result.
type commitRequest struct {
	batch *store.Batch
	done  chan error
}

// The writer puts all that waits into one transaction, within these bounds.
const (
	maxGroup      = 256
	maxGroupBytes = 4 << 20
)

// commit hands a batch to the writer and waits.
func (in *Ingest) commit(ctx context.Context, b *store.Batch) error {
	req := &commitRequest{b, make(chan error, 1)}
	select {
	case in.commits <- req:
	case <-ctx.Done():
		return ctx.Err()
	}
	return <-req.done // the writer always answers
}

// write is the only writer of log batches. It groups what is there and never waits for more, so a single line is stored
// at once.
func (in *Ingest) write(ctx context.Context) error {
	for {
		var group []*commitRequest
		select {
		case <-ctx.Done():
			return nil
		case req := <-in.commits:
			group = append(group, req)
		}
		size := len(group[0].batch.Log)
	more:
		for len(group) < maxGroup && size < maxGroupBytes {
			select {
			case req := <-in.commits:
				group = append(group, req)
				size += len(req.batch.Log)
			default:
				break more
			}
		}
		in.store(ctx, group)
	}
}

func (in *Ingest) store(ctx context.Context, group []*commitRequest) {
	batches := make([]*store.Batch, len(group))
	for i, req := range group {
		batches[i] = req.batch
	}
	err := in.o.Store.Commit(ctx, batches)
	if err != nil && len(group) > 1 && (errors.Is(err, fault.ErrConflict) || errors.Is(err, fault.ErrNotFound)) {
		for _, req := range group { // one is at fault; the others must not suffer
			in.store(ctx, []*commitRequest{req})
		}
		return
	}
	if ctx.Err() == nil {
		if errors.Is(err, fault.ErrConflict) || errors.Is(err, fault.ErrNotFound) {
			in.o.Health(nil)
		} else {
			in.o.Health(err)
		}
	}
	for i, req := range group {
		if err == nil {
			in.publish(batches[i])
		}
		req.done <- err
	}
}

func (in *Ingest) publish(b *store.Batch) {
	if in.o.Pulse != nil {
		in.o.Pulse(b)
	}
	topic := feed.RunTopic(b.RunID)
	if b.Repeated { // samples cannot be taken back
		in.o.Publisher.Publish(topic, feed.Gap, struct{}{})
	}
	if log := in.shaper.shape(b); len(log.Lines) > 0 {
		in.o.Publisher.Publish(topic, feed.LogType, log)
	}
	for _, ev := range b.Events {
		in.o.Publisher.Publish(topic, feed.EventType, ev)
	}
	if len(b.Points) > 0 {
		in.prog.touch(b.RunID)
	}
}

// A run's live log shows at most liveLines lines per livePeriod, each cut to liveLine bytes: nobody can read more, and
// the store has it all.
const (
	liveLines  = 300
	livePeriod = 100 * time.Millisecond
	liveLine   = 4 << 10
)

// logShaper bounds what viewers get. The writer and Forget use it.
type logShaper struct {
	now  func() time.Time
	mu   sync.Mutex
	runs map[run.ID]*window
}

type window struct {
	began   time.Time
	lines   int
	skipped int
}

func newLogShaper(now func() time.Time) *logShaper {
	return &logShaper{now: now, runs: map[run.ID]*window{}}
}

func (s *logShaper) forget(id run.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.runs, id)
}

func (s *logShaper) shape(b *store.Batch) feed.Log {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.runs[b.RunID]
	if w == nil {
		w = &window{}
		s.runs[b.RunID] = w
	}
	if now := s.now(); now.Sub(w.began) >= livePeriod {
		w.began, w.lines = now, 0
	}
	if len(b.Log) == 0 {
		return feed.Log{}
	}
	lines := b.Lines()
	room := max(0, liveLines-w.lines)
	if n := len(lines) - room; n > 0 { // show the newest
		w.skipped += n
		lines = lines[n:]
	}
	if len(lines) == 0 {
		return feed.Log{}
	}
	w.lines += len(lines)
	for i := range lines {
		if len(lines[i].Text) > liveLine {
			lines[i].Text = cutText(lines[i].Text, liveLine)
		}
	}
	out := feed.Log{Lines: lines, Skipped: w.skipped}
	w.skipped = 0
	return out
}

// cutText cuts between characters and says how much is missing.
func cutText(s string, n int) string {
	kept := fault.Cut(s, n)
	return fmt.Sprintf("%s… (%d more bytes)", kept, len(s)-len(kept))
}
