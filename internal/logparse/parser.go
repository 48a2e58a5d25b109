package logparse

import (
	"bytes"

	"github.com/cotrain/cotrain/internal/run"
)

// Bounds per line.
const (
	// MaxLine is how many bytes of a line are parsed: its start or, with carriage returns, the last segment if that
	// fits.
	MaxLine = 64 << 10
	// MaxMetrics is the most numbers of a line; further ones are ignored.
	MaxMetrics = 256
	// MaxName is the longest metric name in bytes, without the "system/" prefix; longer ones are ignored.
	MaxName = 100
	// MaxMessage and MaxPath bound [Event.Message] and [Event.Path], in bytes.
	MaxMessage = 512
	MaxPath    = 1024

	// maxStep keeps steps exact in float64, as used by JSON and charts.
	maxStep = 1 << 53
)

// Kind is the kind of a result.
type Kind uint8

// The kinds of result.
const (
	None       Kind = iota // nothing of interest
	KindSample             // Result.Sample is set
	KindEvent              // Result.Event is set
)

// Result is the content of a line: the member named by Kind. It aliases the parser and the line, until either is used
// again.
type Result struct {
	Kind   Kind
	Sample run.Sample
	Event  Event
	// Format is the name of the format that a sample has, CotrainCore's or another's.
	Format string
	// Before is how many steps came before the epoch in which Sample.Step counts, where both are known; else 0.
	Before int64
	// Printed are the metrics of Sample as the line has them, where all are numbers as JSON has them too and their names are words;
	// else nil. Copying them is faster than printing the numbers again.
	Printed [][]byte
}

// State is a parser's memory between lines. It is small, comparable and survives JSON: stored with the log cursor, it
// lets a restarted console continue exactly.
type State struct {
	// Pushes are the remote copies in progress, oldest first.
	Pushes Pushes `json:"pushes,omitzero"`
	// Caught is true after the announcement of a fatal exception, whose line follows.
	Caught bool `json:"caught,omitempty"`
	// Root is the position in torchrun's block about the first failed process.
	Root root `json:"root,omitzero"`
	// Format is the format of the last sample, "" before the first.
	Format string `json:"format,omitempty"`
	// Bar is the progress of a stream whose samples do not tell their step.
	Bar bar `json:"bar,omitzero"`
	// Block is true inside of a record of several lines.
	Block bool `json:"block,omitempty"`
	// Epoch is the last that a line of its own told.
	Epoch int64 `json:"epoch,omitempty"`
}

// Parser reads one stream's lines in order. The zero value is ready; to continue a stream, set State. Not safe for
// concurrent use.
type Parser struct {
	State State
	// Site are the formats that a site has added, tried first.
	Site []*SiteFormat

	formats []format
	last    int // index of State.Format

	stripped []byte       // line without escape sequences
	text     []byte       // unescaped strings of a machine line
	fields   []field      // numbers of a machine line
	metrics  []run.Metric // of the last result
	aliases  []alias      // among them
	printed  [][]byte     // likewise
	keys     []plainKey   // of the last plain sample
	names    names
	known    []known // names of the stream
}

// Line parses a line of any length and content, without its newline.
func (p *Parser) Line(line []byte) Result {
	if rec, _ := plainHead(line); rec.found && !rec.debug && len(line) <= MaxLine && isDigit(line[0]) && isDigit(line[1]) && line[2] == ':' {
		// Nearly all lines: every byte is looked at, so that no other record, escape or break is in it.
		p.metrics, p.text, p.fields = p.metrics[:0], p.text[:0], p.fields[:0]
		if res, ok := p.plainSample(rec.msg); ok {
			return res
		}
	}
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
	if whole && rec.found && !rec.debug {
		if res, ok := p.plainSample(rec.msg); ok {
			return res
		}
		p.metrics = p.metrics[:0]
	}
	switch {
	case rec.debug:
		return Result{} // the core's DEBUG output looks like metrics
	case !rec.found:
		if !whole {
			return p.rootCause(line)
		}
		if bytes.Contains(line, []byte("tep: ")) {
			if res := p.sample(stripWrapper(line), false); res.Kind != None {
				return res
			}
			p.metrics = p.metrics[:0]
		}
		if res := p.foreign(line); res.Kind != None {
			return res
		}
		p.metrics = p.metrics[:0]
		return p.rootCause(line)
	case whole && looksLikePairs(rec.msg):
		if res := p.sample(rec.msg, true); res.Kind != None {
			return res
		}
		p.metrics = p.metrics[:0]
	}
	res := p.textEvent(rec.msg)
	if res.Kind == None && whole && line[0] == '[' && bytes.HasPrefix(line, rankMark) {
		p.metrics = p.metrics[:0]
		return p.foreign(rec.msg) // others print such a head, too
	}
	return res
}

// Overwritten parses an overwritten state of a line, for samples with a step and the progress of bars only: everything else is
// repeated by the last state.
func (p *Parser) Overwritten(line []byte) Result {
	before := p.State
	res := p.Line(line)
	before.Format, before.Bar = p.State.Format, p.State.Bar
	p.State = before
	if res.Kind != KindSample || !res.Sample.HasStep {
		return Result{}
	}
	return res
}

// event finishes a result with the fields in p.metrics.
func (p *Parser) event(name string, text []byte) Result {
	return Result{Kind: KindEvent, Event: Event{Name: name, Level: levelOf(name), Metrics: p.metrics, text: text}}
}

func (p *Parser) add(name string, value float64) {
	p.metrics = append(p.metrics, run.Metric{Name: name, Value: value})
}
