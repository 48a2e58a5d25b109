package logparse

import (
	"bytes"

	"github.com/cotrain/cotrain/internal/run"
)

// Bounds on what one line can make the parser do or produce.
const (
	// MaxLook is how much of one line is looked at, in bytes: the first part of it, or, when the line holds carriage
	// returns, the last segment if that is no longer.
	MaxLook = 64 << 10
	// MaxMetrics is the most numbers taken from one line; later ones are ignored.
	MaxMetrics = 256
	// MaxName is the longest name of a metric, in bytes, without the "system/" prefix; longer ones are ignored.
	MaxName = 100
	// MaxMessage and MaxPath bound what [Event.Message] and [Event.Path] return, in bytes.
	MaxMessage = 512
	MaxPath    = 1024

	// maxStep keeps steps exact in a float64, which is what JSON and charts carry them in.
	maxStep = 1 << 53
)

// Kind says what a line was.
type Kind uint8

// The kinds of result.
const (
	None       Kind = iota // nothing that concerns this package
	KindSample             // Result.Sample holds a measurement
	KindEvent              // Result.Event holds something that happened
)

// Result is what one line says. Only the member that Kind names is set. Slices and texts inside point into the
// parser's memory or the line, and are valid until the next call of [Parser.Line] or a change of the line.
type Result struct {
	Kind   Kind
	Sample run.Sample
	Event  Event
}

// State is all that a parser remembers from line to line. It is small, comparable, and survives JSON, so a console
// that stores it beside its log cursor continues after a restart exactly as if it had never stopped.
type State struct {
	// Pushes are the remote copies that have begun and not ended, oldest first.
	Pushes Pushes `json:"pushes,omitzero"`
	// Caught is true between the line that announces a fatal exception and the line that shows it.
	Caught bool `json:"caught,omitempty"`
	// Root is in the block in which torchrun names the process that failed first.
	Root root `json:"root,omitzero"`
}

// Parser reads the lines of one stream of one worker, in order. The zero value is ready; to continue a stream, set
// State. It must not be used by two goroutines at once.
type Parser struct {
	State State

	stripped []byte       // a line without its escape sequences
	text     []byte       // strings of a machine line, unescaped
	fields   []field      // numbers of a machine line
	metrics  []run.Metric // what the last result points to
	names    names
}

// Line reads one line, given without its newline; it may have any length and any content.
func (p *Parser) Line(line []byte) Result {
	line, whole := window(line)
	line = p.clean(line)
	if len(line) == 0 {
		return Result{}
	}
	p.metrics, p.text, p.fields = p.metrics[:0], p.text[:0], p.fields[:0]
	if whole {
		if res, ok := p.machineLine(line); ok {
			return res
		}
	}
	rec := findRecord(line)
	switch {
	case rec.debug:
		return Result{} // at DEBUG the core prints much that looks like metrics and is not
	case !rec.found:
		if whole && bytes.Contains(line, []byte("tep: ")) {
			return p.sample(stripWrapper(line), false)
		}
		return p.rootCause(line)
	case whole && looksLikePairs(rec.msg):
		if res := p.sample(rec.msg, true); res.Kind != None {
			return res
		}
		p.metrics = p.metrics[:0]
	}
	return p.textEvent(rec.msg)
}

// Overwritten reads a state of a line that was rewritten later: of those only samples with a step count. A bar is redrawn with the
// same news again and again, and what it says of anything else is said by its last state.
func (p *Parser) Overwritten(line []byte) Result {
	before := p.State
	res := p.Line(line)
	p.State = before
	if res.Kind != KindSample || !res.Sample.HasStep {
		return Result{}
	}
	return res
}

// event finishes a result whose fields, if any, are in p.metrics.
func (p *Parser) event(name string, text []byte) Result {
	return Result{Kind: KindEvent, Event: Event{Name: name, Level: levelOf(name), Metrics: p.metrics, text: text}}
}

// add appends one number to the result under way.
func (p *Parser) add(name string, value float64) {
	p.metrics = append(p.metrics, run.Metric{Name: name, Value: value})
}
