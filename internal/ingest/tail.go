package ingest

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

const (
	// settle is how long an ended worker's log must stay unchanged to count as complete: a real agent was seen to copy a
	// task's last bytes, the important ones, after reporting its end.
	settle = time.Second
	// Bounds of the pause after an error.
	retryMin = 100 * time.Millisecond
	retryMax = 10 * time.Second
)

// tail follows one stream of one worker.
type tail struct {
	in     *Ingest
	alloc  *alloc
	stream string
	log    *slog.Logger
	lines  *lineReader
	stored time.Time // time of the last commit
	upTo   time.Time // no line that is still to come was printed before
	taken  time.Time // when the last chunk of the session was stored; zero before
	moved  bool      // stored something since the last error
	why    trouble   // why nothing was stored

	finishing complaint
}

func newTail(in *Ingest, a *alloc, stream string) *tail {
	return &tail{in: in, alloc: a, stream: stream, log: in.o.Logger.With("alloc", a.worker.AllocID, "stream", stream)}
}

// run reads until the worker has ended and its output is stored, and reports whether it got that far.
func (t *tail) run(ctx context.Context) bool {
	defer t.in.merge.leave(t.alloc.worker.RunID, t)
	defer t.in.settled(t)
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = retryMin, retryMax
	last := store.Cursor{Offset: -1} // end of the previous drain
	for ctx.Err() == nil {
		cur, err := t.in.o.Store.Cursor(ctx, t.alloc.worker.AllocID, t.stream)
		if err == nil {
			if cur.Done {
				return true
			}
			t.begin(cur)
			ended := t.hasEnded()
			err = t.read(ctx, cur, ended)
			if ended && (err == nil || errors.Is(err, fault.ErrNotFound) || errors.Is(err, nomad.ErrNotStarted)) {
				at := store.Cursor{File: t.lines.end.File, Offset: t.lines.end.Offset}
				if (err != nil || at == last) && t.finish(ctx, err) {
					return true
				}
				last = at
				sleep(ctx, settle)
				continue
			}
		}
		switch {
		case err == nil: // the worker has just ended
			pause.Reset()
		case ctx.Err() == nil:
			t.why.add(err, false)
			if !t.stored.IsZero() {
				t.in.merge.at(t.alloc.worker.RunID, t, t.upTo, placeAway)
			}
			if t.moved { // only failures in a row lengthen the pause
				t.moved = false
				pause.Reset()
			}
			if !errors.Is(err, nomad.ErrNotStarted) {
				t.log.Debug("read log", "err", err)
			}
			t.wait(ctx, pause.NextBackOff())
		}
	}
	return false
}

// begin prepares a session. What was printed since the end of the last one, or the worker's start, is merged with that of other streams.
func (t *tail) begin(cur store.Cursor) {
	t.lines, t.stored, t.taken = newLineReader(cur, t.alloc.worker.Rank, t.in.o.Formats, t.log), cur.At, time.Time{}
	t.lines.clock.begin(t.alloc.worker.StartedAt)
	from := t.alloc.worker.StartedAt
	if !cur.At.IsZero() {
		from = cur.At
	}
	if late := t.lines.clock.Late; !late.IsZero() {
		from = late
	}
	t.upTo = from
	if !from.IsZero() && t.in.o.Now().Sub(from) >= lateAfter {
		t.in.merge.at(t.alloc.worker.RunID, t, from, placeRead)
	}
}

func (t *tail) hasEnded() bool {
	return t.alloc.ended.Err() != nil
}

// wait sleeps, at most until the worker ends.
func (t *tail) wait(ctx context.Context, d time.Duration) {
	if t.hasEnded() {
		sleep(ctx, d)
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-t.alloc.ended.Done():
	case <-timer.C:
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// read reads from cur on, and follows a live worker's stream. The Tailer lets streams take turns when Nomad has too few
// connections.
func (t *tail) read(ctx context.Context, cur store.Cursor, ended bool) error {
	from := nomad.Cursor{File: cur.File, Offset: cur.Offset}
	take := func(c nomad.LogChunk) error { return t.take(ctx, c) } // a worker's end must not cut a commit short
	if ended {
		return t.source(ctx, from, false, take)
	}
	follow, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.alloc.ended, cancel)()
	defer t.in.listens(t.alloc)()
	err := t.source(follow, from, true, take)
	if t.hasEnded() && ctx.Err() == nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// source reads the stream from where it comes.
func (t *tail) source(ctx context.Context, from nomad.Cursor, follow bool, take func(nomad.LogChunk) error) error {
	if t.stream == statusStream {
		return t.in.o.Statuses.TailStatus(ctx, t.alloc.worker, from, follow, take)
	}
	return t.in.o.Tailer.TailLog(ctx, t.alloc.worker.AllocID, t.stream, from, follow, take)
}

// take turns a chunk into batches and waits until they are stored.
func (t *tail) take(ctx context.Context, c nomad.LogChunk) error {
	if c.Lost > 0 {
		text := lostMessage(c.Lost, outputOf(t.alloc.worker.Rank, t.stream), t.stored, t.in.o.Now(), t.why)
		if err := t.skip(ctx, "log_lost", text, nomad.Cursor{File: c.File, Offset: c.Offset}, false); err != nil {
			return err
		}
	}
	now := t.in.o.Now()
	quiet := time.Duration(0)
	if !t.taken.IsZero() {
		quiet = now.Sub(t.taken)
	}
	t.lines.clock.learn(c.Data, quiet, now)
	for _, b := range t.lines.feed(c, now) {
		if err := t.commit(ctx, b); err != nil {
			return err
		}
	}
	t.in.open.set(t.alloc.worker, t.stream, rewritten(t.lines.pending))
	t.taken = t.in.o.Now()
	return nil
}

// skip stores a loss of output, as log line and event; end means it was the end of the stream.
func (t *tail) skip(ctx context.Context, kind, text string, to nomad.Cursor, end bool) error {
	batches := t.lines.skip(markPrefix+text+" ===", to)
	last := batches[len(batches)-1]
	last.To.Done = end
	last.Events = append(last.Events, run.Event{Kind: kind, Level: "warning", Message: text})
	for _, b := range batches {
		if err := t.commit(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

func (t *tail) commit(ctx context.Context, b *store.Batch) error {
	t.label(b)
	t.in.holds(t, b.At)
	if t.upTo = b.Printed; b.Printed.IsZero() {
		t.upTo = b.At
		t.in.merge.leave(b.RunID, t)
	} else {
		t.in.merge.at(b.RunID, t, b.Printed, placeStored)
		defer t.in.merge.at(b.RunID, t, b.Printed, placeRead)
		t.in.merge.turn(ctx, b.RunID, t, b.Printed)
	}
	if err := t.in.commit(ctx, b); err != nil {
		t.why.add(err, true)
		return err
	}
	t.in.settled(t)
	t.moved, t.why, t.stored = true, noTrouble, b.At
	return nil
}

// finish stores a last line without newline, and the end of the stream.
func (t *tail) finish(ctx context.Context, cause error) bool {
	var err error
	output, lost := outputOf(t.alloc.worker.Rank, t.stream), t.alloc.lost.Of(t.stream)
	switch {
	case errors.Is(cause, fault.ErrNotFound) && t.lines.from.File != "":
		err = t.skip(ctx, "log_gone", goneMessage(output, t.stored, t.why), t.lines.end, true)
	case lost > 0:
		err = t.skip(ctx, "log_lost", unwrittenMessage(lost, output), t.lines.end, true)
	default:
		err = t.commit(ctx, t.lines.finish(cause == nil))
	}
	t.finishing.about(t.log, "finish log", err)
	if err != nil {
		sleep(ctx, retryMin)
	}
	t.in.open.set(t.alloc.worker, t.stream, "")
	return err == nil
}

func (t *tail) label(b *store.Batch) {
	w := t.alloc.worker
	b.RunID, b.AllocID, b.Stream, b.Rank, b.Attempt, b.At = w.RunID, w.AllocID, t.stream, w.Rank, w.Attempt, t.in.o.Now()
	for i := range b.Points { // metrics without steps are placed by time
		if b.Points[i].Step == byTime {
			b.Points[i].Step = b.At.UnixMilli()
		}
	}
	for i := range b.Events {
		b.Events[i] = t.event(b.Events[i].Kind, b.Events[i].Level, b.Events[i].Message)
	}
}

func (t *tail) event(kind, level, message string) run.Event {
	w := t.alloc.worker
	return run.Event{RunID: w.RunID, At: t.in.o.Now(), Kind: kind, Level: level, Actor: run.Trainer, Attempt: w.Attempt, Rank: w.Rank, Message: message}
}
