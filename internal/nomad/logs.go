package nomad

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/fault"
)

const (
	// busyTries bounds reopening a stream while Nomad has no connection for it.
	busyTries = 6
	// shiftTries bounds relocating the start while files rotate away.
	shiftTries = 8
)

// Cursor is a position in a log stream: bytes consumed of a rotated file. The zero Cursor is the start.
type Cursor struct {
	File   string // "trainer.stdout.3"
	Offset int64
}

// LogChunk is a piece of a log; it may end inside a line.
type LogChunk struct {
	File   string
	Offset int64 // of Data within File
	Data   []byte
	// Lost estimates the bytes before Data that were rotated away unread, assuming full files.
	Lost int64
}

// End is the cursor after the chunk.
func (l LogChunk) End() Cursor { return Cursor{File: l.File, Offset: l.Offset + int64(len(l.Data))} }

// TailLog calls fn with an allocation's log after from, in order, without gaps or repeats across rotated files. stream
// is "stdout" or "stderr"; Data is valid during the call. With follow it continues until ctx ends, fn fails or the
// stream breaks; otherwise it returns nil at the current end.
//
// Errors of fn are returned as is. Others are [ErrNotStarted], [fault.ErrNotFound] if allocation or files are gone (or
// the node has not taken the allocation yet: check its state), [fault.ErrUnavailable] if the stream broke or Nomad is
// unreachable (retry from the last chunk's End), and [fault.ErrInvalid] for a cursor of another log.
//
// At most Config.LogStreams streams are open; beyond that they take turns.
func (c *Client) TailLog(ctx context.Context, allocID, stream string, from Cursor, follow bool, fn func(LogChunk) error) error {
	if stream != "stdout" && stream != "stderr" {
		return fmt.Errorf("log stream %q: %w: stdout or stderr", clean(stream), fault.ErrInvalid)
	}
	t := &tail{c: c, alloc: allocID, task: TaskName, stream: stream, follow: follow, fn: fn, offset: from.Offset}
	if from.File != "" {
		index, err := logIndex(t.log(), from.File)
		if err != nil {
			return err
		}
		t.index, t.placed = index, true
	}
	return t.run(ctx)
}

// tail is a TailLog in progress.
type tail struct {
	c                   *Client
	alloc, task, stream string
	follow              bool
	fn                  func(LogChunk) error

	// The next wanted byte; placed is false until the first file is known.
	placed bool
	index  int
	offset int64
	lost   int64 // reported with the next chunk
	full   int64 // largest file size seen, for estimates
	moved  bool  // delivered something in this session
}

// Reasons to end a session that are not errors for the caller.
var (
	errAgain = errors.New("open the stream again")
	errShift = errors.New("files rotated away while the stream was opened")
)

// run opens sessions until one ends for good.
func (t *tail) run(ctx context.Context) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = firstBusyWait, 5*time.Second
	wait.Reset()
	shifts, busy := 0, 0
	for {
		if err := t.c.slots.acquire(ctx); err != nil {
			return err
		}
		t.moved = false
		err := t.session(ctx)
		t.c.slots.release()
		if t.moved {
			shifts, busy = 0, 0
			wait.Reset()
		}

		var said *answer
		switch {
		case errors.Is(err, errAgain):
		case errors.Is(err, errShift) && shifts < shiftTries:
			shifts++
		case errors.Is(err, errShift):
			return fmt.Errorf("%s: files rotate away faster than they can be opened: %w", t.doing(), fault.ErrNomadUnreachable)
		case errors.As(err, &said) && said.code == http.StatusTooManyRequests && busy < busyTries:
			busy++
			select {
			case <-time.After(wait.NextBackOff()):
			case <-ctx.Done():
				return ctx.Err()
			}
		case ctx.Err() != nil:
			return ctx.Err()
		default:
			return err
		}
	}
}

// log begins the names of the log's files.
func (t *tail) log() string { return t.task + "." + t.stream }

func (t *tail) doing() string { return "follow " + t.stream + " of allocation " + t.alloc }

// session streams from the cursor.
func (t *tail) session(ctx context.Context) error {
	files, err := t.list(ctx)
	if errors.Is(err, fault.ErrNotFound) {
		return t.whyNoFiles(ctx, err)
	}
	if err != nil {
		return err
	}
	start, err := t.locate(files)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := fmt.Errorf("%s: nothing arrived for %v: %w", t.doing(), logSilence, fault.ErrNomadUnreachable)
	watchdog := time.AfterFunc(logSilence, func() { cancel(silent) })
	defer watchdog.Stop()

	body, err := t.open(ctx, start)
	if err != nil {
		return orCause(ctx, err)
	}
	defer func() { _ = body.Close() }() // read-only
	frames, since, checked := newFrameReader(body), time.Now(), start == 0
	for {
		watchdog.Reset(logSilence)
		fr, err := frames.next()
		watchdog.Stop() // time in fn is not Nomad's silence
		if err != nil {
			return t.ended(ctx, err)
		}
		if !checked {
			if err := t.check(ctx, files); err != nil {
				return err
			}
			checked = true
		}
		if !fr.heartbeat() {
			if err := t.take(ctx, fr); err != nil {
				return err
			}
		}
		if t.c.slots.shouldYield(since) {
			return errAgain
		}
	}
}

// whyNoFiles asks for the log itself when its folder is missing, to tell an unstarted task from a collected allocation.
func (t *tail) whyNoFiles(ctx context.Context, err error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	body, openErr := t.open(ctx, 0)
	if openErr != nil {
		return openErr
	}
	_ = body.Close() // the folder appeared meanwhile
	return fmt.Errorf("%s: %w: %w", t.doing(), fault.ErrNomadUnreachable, err)
}

// ended maps the error of a stream to that of the session.
func (t *tail) ended(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if errors.Is(err, io.EOF) {
		if !t.follow {
			return nil
		}
		return fmt.Errorf("%s: the stream ended: %w", t.doing(), fault.ErrNomadUnreachable)
	}
	var said *answer
	if errors.As(err, &said) {
		return classify(t.doing(), said)
	}
	return fmt.Errorf("%s: %w: %w", t.doing(), fault.ErrNomadUnreachable, err)
}

// orCause prefers ctx's cause to the error it led to.
func orCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func (t *tail) open(ctx context.Context, start int64) (io.ReadCloser, error) {
	q := query(ctx)
	q.Params["task"], q.Params["type"], q.Params["origin"] = t.task, t.stream, "start"
	q.Params["offset"] = strconv.FormatInt(start, 10)
	q.Params["follow"] = strconv.FormatBool(t.follow)
	body, err := t.c.streams.Raw().Response("/v1/client/fs/logs/"+t.alloc, q)
	return body, classify(t.doing(), err)
}

// list returns the stream's files, at least one, oldest first.
func (t *tail) list(ctx context.Context) ([]logFile, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	q := query(ctx)
	q.Params["path"] = "alloc/logs"
	var infos []api.AllocFileInfo
	if _, err := t.c.calls.Raw().Query("/v1/client/fs/ls/"+t.alloc, &infos, q); err != nil {
		return nil, classify("list the logs of allocation "+t.alloc, err)
	}
	var files []logFile
	for _, info := range infos {
		if index, err := logIndex(t.log(), info.Name); err == nil && !info.IsDir {
			files = append(files, logFile{index, info.Size})
			t.full = max(t.full, info.Size)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: %w", t.doing(), ErrNotStarted)
	}
	slices.SortFunc(files, func(a, b logFile) int { return a.index - b.index })
	return files, nil
}

// locate converts the cursor to Nomad's offset, in bytes since the oldest existing file. A cursor in a missing file
// moves to the oldest.
func (t *tail) locate(files []logFile) (int64, error) {
	oldest := files[0]
	if !t.placed || t.index < oldest.index {
		t.skipTo(oldest.index)
	}
	var before int64
	for _, f := range files {
		switch {
		case f.index < t.index:
			before += f.size
		case f.index == t.index && t.offset <= f.size:
			return before + t.offset, nil
		case f.index == t.index:
			return 0, fmt.Errorf("%s: %w: byte %d was consumed of %s, which has %d", t.doing(), fault.ErrInvalid,
				t.offset, logName(t.log(), f.index), f.size)
		}
	}
	return 0, fmt.Errorf("%s: %w: %s does not exist yet", t.doing(), fault.ErrInvalid, logName(t.log(), t.index))
}

// skipTo moves to the start of a later file and counts the bytes between as lost.
func (t *tail) skipTo(index int) {
	first := 0
	if t.placed {
		first = t.index
	}
	if gone := int64(index - first); gone > 0 {
		t.lost += max(0, gone*t.full-t.offset)
	}
	t.placed, t.index, t.offset = true, index, 0
}

// check verifies the offset: it counts from the oldest file, which may have been rotated away before Nomad looked.
func (t *tail) check(ctx context.Context, before []logFile) error {
	now, err := t.list(ctx)
	if err != nil {
		return err
	}
	if now[0].index != before[0].index {
		return errShift
	}
	return nil
}

func (t *tail) take(ctx context.Context, fr frame) error {
	index, err := logIndex(t.log(), fr.File)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", t.doing(), fault.ErrNomadUnreachable, err)
	}
	switch {
	case index < t.index:
		return fmt.Errorf("%s: %s comes after %s: %w", t.doing(), logName(t.log(), index), logName(t.log(), t.index), fault.ErrNomadUnreachable)
	case index > t.index:
		if err := t.advance(ctx, index); err != nil {
			return err
		}
	case fr.FileEvent == "file truncated":
		t.offset = 0
	}
	if len(fr.Data) == 0 {
		return nil
	}
	chunk := LogChunk{File: logName(t.log(), t.index), Offset: t.offset, Data: fr.Data, Lost: t.lost}
	if err := t.fn(chunk); err != nil {
		return err
	}
	t.lost, t.moved = 0, true
	t.offset += int64(len(fr.Data))
	return nil
}

// advance moves to the file that Nomad sends now. Nomad can leave a file before its last bytes: if it still exists, the
// stream is reopened at the cursor.
func (t *tail) advance(ctx context.Context, index int) error {
	files, err := t.list(ctx)
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.index == t.index && f.size > t.offset || f.index > t.index && f.index < index && f.size > 0 {
			return errShift
		}
	}
	if files[0].index <= t.index {
		t.offset = 0 // read to the end
		t.index = index
		return nil
	}
	if index == t.index+1 {
		// The file and its size are gone: assume all was read.
		t.index, t.offset = index, 0
		return nil
	}
	t.skipTo(index)
	return nil
}
