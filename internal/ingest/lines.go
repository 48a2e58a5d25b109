package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/logparse"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

const (
	// maxLine is the longest line parsed, as in logparse. Longer ones are stored in pieces of this size, without parsing
	// the rest.
	maxLine = 64 << 10
	// maxEvents bounds a stream's events: a log is untrusted, and events are kept. The store bounds metric names.
	maxEvents = 2000
	// byTime marks a point placed by time of receipt.
	byTime = -1
)

// parserState is stored with the cursor, so a restarted console continues exactly here.
type parserState struct {
	Parse  logparse.State `json:"parse"`
	Step   int64          `json:"step,omitempty"` // newest reported step
	Cut    bool           `json:"cut,omitempty"`  // inside an overlong line
	Events int            `json:"events,omitempty"`
	// Reports number what a stream without steps reports.
	Reports reports `json:"reports,omitzero"`
	// Clock tells when lines were printed.
	Clock printClock `json:"clock,omitzero"`
}

// lineReader cuts a stream's chunks into batches at line ends. The cursor stays before the unfinished line, which is
// read again after a restart.
type lineReader struct {
	log    *slog.Logger
	rank   int
	parser logparse.Parser
	step   int64
	cut    bool
	events int
	count  reports
	report run.ExitReport
	pulse  run.Pulse // of the batch
	clock  printClock

	from    store.Cursor // stored
	pending []byte       // bytes after from, without newline
	end     nomad.Cursor // end of pending
}

func newLineReader(cur store.Cursor, rank int, formats []*logparse.SiteFormat, log *slog.Logger) *lineReader {
	r := &lineReader{rank: rank, log: log, parser: logparse.Parser{Site: formats}, from: cur, end: nomad.Cursor{File: cur.File, Offset: cur.Offset}, report: cur.Report}
	if cur.Parser != "" {
		var st parserState
		if err := json.Unmarshal([]byte(cur.Parser), &st); err != nil {
			log.Warn("stored parser state", "err", err)
		}
		r.parser.State, r.step, r.cut, r.events, r.count, r.clock = st.Parse, st.Step, st.Cut, st.Events, st.Reports, st.Clock
	}
	return r
}

// skip continues after a loss of output. The returned batches store the unfinished line and a line that tells of the
// loss, and move the cursor.
func (r *lineReader) skip(mark string, to nomad.Cursor) []*store.Batch {
	var out []*store.Batch
	if len(r.pending) > 0 {
		out = append(out, r.batch(r.pending, r.end))
	}
	r.pending, r.cut, r.end = nil, false, to
	b := r.batch(nil, to)
	b.Log = []byte(mark + "\n") // not to be parsed
	return append(out, b)
}

// feed takes a chunk that is received now, and returns the batches that it completes.
func (r *lineReader) feed(c nomad.LogChunk, now time.Time) []*store.Batch {
	var out []*store.Batch
	data := c.Data
	at := c.Offset
	for len(data) > 0 {
		n := r.boundary(data)
		if n == 0 {
			break
		}
		whole := data[:n]
		if len(r.pending) > 0 {
			whole = append(r.pending, whole...)
			r.pending = nil
		}
		size, printed := r.clock.piece(whole, now)
		n -= len(whole) - size
		at += int64(n)
		b := r.batch(whole[:size], nomad.Cursor{File: c.File, Offset: at})
		b.Printed = printed
		out = append(out, b)
		data = data[n:]
	}
	if len(data) > 0 {
		r.pending = append(r.pending, data...)
	}
	r.end = nomad.Cursor{File: c.File, Offset: c.Offset + int64(len(c.Data))}
	return out
}

// boundary returns how much of data to store now: through the last newline, at most store.MaxLines lines, or all if the
// pending line is too long. 0 means wait.
func (r *lineReader) boundary(data []byte) int {
	last := bytes.LastIndexByte(data, '\n')
	if last < 0 {
		if len(r.pending)+len(data) >= maxLine {
			return len(data)
		}
		return 0
	}
	if last < store.MaxLines {
		return last + 1
	}
	n := 0
	for range store.MaxLines {
		i := bytes.IndexByte(data[n:], '\n')
		if i < 0 {
			break
		}
		n += i + 1
	}
	return n
}

// finish returns the last batch; whole is false if the end was lost. A log of steps that ends inside a line was cut, as
// by a full disk.
func (r *lineReader) finish(whole bool) *store.Batch {
	if len(r.pending) > 0 && r.report.Step > 0 && rewritten(r.pending) == "" {
		whole = false
	}
	b := r.batch(r.pending, r.end)
	r.pending = nil
	b.To.Done, b.To.Report.Read = true, whole
	return b
}

// batch parses raw and moves the cursor to its end.
func (r *lineReader) batch(raw []byte, to nomad.Cursor) *store.Batch {
	b := &store.Batch{From: r.from, Log: raw}
	r.pulse = run.Pulse{}
	for rest := raw; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		r.overwritten(b, line)
		if !r.cut {
			r.take(b, r.parser.Line(line))
			if s, ok := ofDay(line); ok {
				r.pulse.OfDay, r.pulse.HasOfDay = s, true
			}
		}
		r.cut = !whole
		rest = after
	}
	state, err := json.Marshal(parserState{r.parser.State, r.step, r.cut, r.events, r.count, r.clock})
	if err != nil { // cannot happen
		r.log.Error("encode parser state", "err", err)
	}
	b.To = store.Cursor{File: to.File, Offset: to.Offset, Parser: string(state), Report: r.report}
	r.from = b.To
	b.Pulse = r.pulse
	return b
}

// overwritten takes the steps of a line before carriage returns overwrote them.
func (r *lineReader) overwritten(b *store.Batch, line []byte) {
	inside := r.cut // began in an earlier piece
	if !inside {
		line = bytes.TrimRight(line, "\r") // the last state is parsed as the line
	}
	for {
		state, after, more := bytes.Cut(line, []byte("\r"))
		if !more {
			return
		}
		if !inside && len(state) > 0 {
			r.take(b, r.parser.Overwritten(state))
		}
		line, inside = after, false
	}
}

// take adds a parsed line to a batch.
func (r *lineReader) take(b *store.Batch, res logparse.Result) {
	switch res.Kind {
	case logparse.KindSample:
		r.sample(b, res)
	case logparse.KindEvent:
		r.event(b, res.Event)
	}
}

// sample places the metrics of a sample. Those without a step belong to the step that the stream is at, as its last sample or bar
// told. A stream that tells no step at all is placed by the number of its reports.
func (r *lineReader) sample(b *store.Batch, res logparse.Result) {
	step := res.Sample.Step + res.Before
	if bar, ok := r.parser.Step(); ok && !res.Sample.HasStep {
		r.step, r.report.Step = bar, bar
	}
	system := 0
	for _, m := range res.Sample.Metrics {
		if strings.HasPrefix(m.Name, run.SystemPrefix) {
			system++
		}
	}
	switch {
	case res.Sample.HasStep:
		if step < r.step && hasLoss(res.Sample.Metrics) {
			r.pulse = run.Pulse{Began: true}
		}
		r.step, r.report.Step = step, step
	case r.step > 0 || system == len(res.Sample.Metrics):
		step = r.step
	case res.Sample.Exact:
		return // CotrainCore tells its steps; this is from before the first
	default:
		step = r.count.next(res.Sample.Metrics)
	}
	r.feel(res, step, system == len(res.Sample.Metrics))
	for _, m := range res.Sample.Metrics {
		at := step
		if !res.Sample.HasStep && strings.HasPrefix(m.Name, run.SystemPrefix) {
			at = byTime
		}
		r.point(b, points.Point{Metric: m.Name, Step: at, Value: m.Value, Exact: res.Sample.Exact})
	}
}

func (r *lineReader) point(b *store.Batch, p points.Point) {
	if p.Step > run.MaxStep || (p.Step < 0 && p.Step != byTime) {
		return
	}
	b.Points = append(b.Points, p)
}

// frequent events come with every outer step and are kept as metrics only: 88 000 steps on 300 workers would be a
// million timeline entries.
var frequent = map[string]struct{ number, metric string }{
	logparse.OuterStep:     {"outer_step", "outer_step"},
	logparse.OuterStepDone: {"mfu", "outer_mfu"},
	logparse.SyncDone:      {"seconds", "sync_seconds"},
	logparse.AllReduceDone: {"seconds", "all_reduce_seconds"},
}

// facts are events that every worker repeats at start and at mesh changes. Only worker 0's are kept, or 300 workers
// would start the timeline with a thousand.
var facts = map[string]bool{logparse.MeshSize: true, logparse.Parameters: true, logparse.PeakFLOPS: true}

func (r *lineReader) event(b *store.Batch, ev logparse.Event) {
	r.note(ev)
	r.hear(ev)
	if facts[ev.Name] && r.rank != 0 {
		return
	}
	if kept, ok := frequent[ev.Name]; ok {
		if v, ok := ev.Value(kept.number); ok && r.step > 0 {
			r.point(b, points.Point{Metric: kept.metric, Step: r.step, Value: v})
		}
		return
	}
	if path := ev.Path(); ev.Name == logparse.CheckpointSaved && ev.HasStep && path != "" && ev.Step >= 0 && ev.Step <= run.MaxStep {
		b.Checkpoints = append(b.Checkpoints, store.Checkpoint{Step: ev.Step, Path: path}) // not limited by maxEvents
	}
	r.events++
	switch {
	case r.events < maxEvents:
		b.Events = append(b.Events, run.Event{Kind: ev.Name, Level: ev.Level.String(), Message: ev.Message()})
	case r.events == maxEvents:
		b.Events = append(b.Events, run.Event{Kind: "events_cut", Level: "warning",
			Message: fmt.Sprintf("this worker reported %d events; further ones are in its log only", maxEvents)})
	}
}

// note records how the worker ended, regardless of maxEvents.
func (r *lineReader) note(ev logparse.Event) {
	if ev.Name == logparse.Finished {
		r.report.Finished = true
		return
	}
	code, exited := ev.Value(logparse.ExitCode)
	signal, _ := ev.Value(logparse.ExitSignal)
	switch {
	case ev.Name == logparse.RootCause:
		r.report.ExitCode, r.report.Signal, r.report.Why = int(code), int(signal), ""
	case exited && ev.Level == logparse.Error && code > 0 && code <= 255: // the launch script gives up
		r.report.ExitCode, r.report.Signal, r.report.Why = int(code), 0, ev.Message()
	}
}
