package form

import (
	"fmt"
	"strings"

	"github.com/a-h/templ"

	"github.com/cotrain/cotrain/views/ui"
)

// Plan is what a run would do, as far as its form says.
type Plan struct {
	Facts    []ui.Fact
	Curve    RateCurve
	Memory   MemoryBar
	Warnings []string
	Problem  string // why the configuration cannot be shown yet, or ""
	TOML     string
	Command  string // the command line that makes the same run
	// Bandwidth is what was typed of the network between workers, in Mbit/s: not part of the run.
	Bandwidth string
}

// RateCurve is the learning rate by step, to be drawn.
type RateCurve struct {
	Points []RatePoint
	Steps  int64   // where the run ends
	Peak   float64 // greatest rate of Points
	Warmup int64   // where the warm-up ends, 0 for none
	Text   string  // the same in words
}

// RatePoint is the learning rate at a step.
type RatePoint struct {
	Step int64
	Rate float64
}

// Size of the drawing, in its own units: the plot's area is within the margins, which hold the labels.
const (
	rateWidth, rateHeight                    = 400.0, 150.0
	rateLeft, rateTop, rateRight, rateBottom = 58.0, 10.0, 392.0, 122.0
)

func (c RateCurve) x(step int64) float64 {
	return rateLeft + (rateRight-rateLeft)*float64(step)/float64(max(1, c.Steps))
}

func (c RateCurve) y(rate float64) float64 {
	if c.Peak <= 0 {
		return rateBottom
	}
	return rateBottom - (rateBottom-rateTop)*rate/c.Peak
}

// line is the curve as the points of a polyline.
func (c RateCurve) line() string {
	var b strings.Builder
	for _, p := range c.Points {
		fmt.Fprintf(&b, "%.1f,%.1f ", c.x(p.Step), c.y(p.Rate))
	}
	return strings.TrimSpace(b.String())
}

func (c RateCurve) at(v float64) string { return fmt.Sprintf("%.1f", v) }

// MemoryBar is the memory that a GPU needs, part by part.
type MemoryBar struct {
	Parts []MemoryPart
	Total int64 // bytes
	Limit int64 // bytes of the GPU asked for, 0 when that is not known
}

// MemoryPart is one of them.
type MemoryPart struct {
	Label string
	Bytes int64
}

// full is what the whole width of the bar stands for.
func (m MemoryBar) full() float64 { return float64(max(m.Total, m.Limit, 1)) }

// share is a number of bytes in units of the drawing.
func (m MemoryBar) share(bytes int64) string {
	return fmt.Sprintf("%.2f", float64(bytes)/m.full()*rateWidth)
}

// before is what stands left of a part.
func (m MemoryBar) before(i int) int64 {
	sum := int64(0)
	for _, p := range m.Parts[:i] {
		sum += p.Bytes
	}
	return sum
}

func (m MemoryBar) text() string {
	if m.Limit == 0 {
		return "about " + ui.Bytes(float64(m.Total))
	}
	return "about " + ui.Bytes(float64(m.Total)) + " of " + ui.Bytes(float64(m.Limit))
}

// pieces are the parts of the panel that typing changes.
func (p Plan) pieces() []templ.Component {
	return []templ.Component{planFacts(p, true), planConfig(p, true)}
}

// DryRun is the answer of a dry run; the zero value is none yet.
type DryRun struct {
	Asked    bool
	Error    string // why there is no answer, or ""
	Result   DryRunAnswer
	Mistakes []string // what is wrong with the form, which was then not planned
}

// Import is what was made of a pasted text.
type Import struct {
	Understood []ImportLine
	Ignored    []ImportLine
	Errors     []string
	Secrets    []ImportSecret
}

// ImportLine is one line of the text and what became of it.
type ImportLine struct {
	Number    int
	Text, Why string
}

// ImportSecret is a secret that was taken out.
type ImportSecret struct {
	Line int
	Env  string // the variable that the worker needs
	Name string // of the registered secret for it, "" for none
}
