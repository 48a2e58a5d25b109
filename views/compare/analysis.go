package compare

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/compare"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// Analysis tells how a metric depends on the settings in which runs differ.
type Analysis struct {
	Metric      string
	Runs        int // that count
	Failed      int // left out: they failed
	Absent      int // left out: they have no finite value
	Importances []compare.Importance
	Axes        []compare.Axis // the metric's last
	Left        int            // settings that have no axis
	Lines       []Parallel
}

// Parallel is one run of the parallel coordinates.
type Parallel struct {
	Run   run.ID
	Name  string
	Key   string // of its line in the charts
	Value float64
	Shade int // from 0 for the best or lowest value to 7
	Index int // of its places in the axes
}

// excluded says which runs are left out, or "".
func (a *Analysis) excluded() string {
	var parts []string
	if a.Failed > 0 {
		parts = append(parts, ui.Integer(a.Failed)+" failed")
	}
	if a.Absent > 0 {
		parts = append(parts, ui.Integer(a.Absent)+" without a finite value")
	}
	if len(parts) == 0 {
		return ""
	}
	return "Left out: " + strings.Join(parts, ", ") + "."
}

func (a *Analysis) few() bool { return a.Runs < compare.FewRuns }

// correlation is a rank correlation in words of a person: "−0.82".
func correlation(v float64) string {
	if math.IsNaN(v) {
		return ui.Absent
	}
	return signed(math.Round(v*100)/100, func(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) })
}

// effect says what raising a setting goes with.
func effect(metric string, rho float64) string {
	switch {
	case math.IsNaN(rho):
		return "not a number"
	case math.Abs(rho) < 0.1:
		return "no trend"
	case rho > 0:
		return "higher, higher " + metric
	}
	return "higher, lower " + metric
}

func share(v float64) string {
	if math.IsNaN(v) {
		return ui.Absent
	}
	return strconv.FormatFloat(v*100, 'f', 0, 64) + "%"
}

// The picture of the parallel coordinates, in pixels.
const (
	axisGap    = 170 // at least
	axesWidth  = 620 // for few axes
	axisTop    = 44
	axisHeight = 260
	axisLeft   = 70
	axisBottom = 24
	axisRight  = 100
)

func (a *Analysis) width() int  { return axisLeft + a.gap()*(len(a.Axes)-1) + axisRight }
func (a *Analysis) height() int { return axisTop + axisHeight + axisBottom }
func (a *Analysis) gap() int    { return max(axisGap, axesWidth/max(1, len(a.Axes)-1)) }

func (a *Analysis) axisX(i int) string { return strconv.Itoa(axisLeft + i*a.gap()) }

// axisY is where a place of an axis stands, whose low end is below.
func axisY(place float64) string {
	return strconv.FormatFloat(axisTop+(1-place)*axisHeight, 'f', 1, 64)
}

// path is a run's line through the axes, with gaps where it has no place.
func (a *Analysis) path(l Parallel) string {
	var b strings.Builder
	pen := "M"
	for i, axis := range a.Axes {
		p := axis.Places[l.Index]
		if math.IsNaN(p) {
			pen = "M"
			continue
		}
		b.WriteString(pen + a.axisX(i) + " " + axisY(p))
		pen = "L"
	}
	return b.String()
}

// places are a run's places on the axes, for the script; -1 for none.
func (a *Analysis) places(l Parallel) string {
	out := make([]string, len(a.Axes))
	for i, axis := range a.Axes {
		out[i] = "-1"
		if p := axis.Places[l.Index]; !math.IsNaN(p) {
			out[i] = strconv.FormatFloat(p, 'f', 4, 64)
		}
	}
	return strings.Join(out, " ")
}

// stops are the different places of an axis with their values, ascending: where its handles can stand.
func (a *Analysis) stops(i int) string {
	type stop struct {
		place float64
		text  string
	}
	axis := a.Axes[i]
	var stops []stop
	for _, l := range a.Lines {
		p := axis.Places[l.Index]
		if math.IsNaN(p) {
			continue
		}
		text := ui.Number(l.Value)
		if axis.Field.Values != nil {
			text = axis.Field.Values[l.Index]
		}
		at := len(stops)
		for at > 0 && stops[at-1].place > p {
			at--
		}
		if at > 0 && stops[at-1].place == p {
			continue
		}
		stops = append(stops[:at], append([]stop{{p, text}}, stops[at:]...)...)
	}
	out := make([][2]any, len(stops))
	for i, s := range stops {
		out[i] = [2]any{math.Round(s.place*1e4) / 1e4, shortValue(s.text)}
	}
	b, _ := json.Marshal(out) // numbers and texts
	return string(b)
}

// shortValue is a value as an axis has room for it.
func shortValue(text string) string {
	if v, err := strconv.ParseFloat(text, 64); err == nil {
		if n := ui.Number(v); len(n) < len(text) {
			return n
		}
		return text
	}
	if text == "" {
		return "not set"
	}
	if r := []rune(text); len(r) > maxLabel {
		return string(r[:maxLabel-1]) + "…"
	}
	return text
}

const maxLabel = 18 // characters

func shade(n int) string { return fmt.Sprintf("shade-%d", n) }

// ends are the two handles of an axis, with which a range of it is chosen.
var ends = [...]struct {
	key, label, path string
	place            float64
}{
	{"high", "at most", "M-7 0H7L0 -9Z", 1},
	{"low", "at least", "M-7 0H7L0 9Z", 0},
}

// barStart and barWidth draw a correlation from 0.
func barStart(rho float64) string { return strconv.FormatFloat(min(0, orZero(rho)), 'f', 3, 64) }
func barWidth(rho float64) string { return strconv.FormatFloat(math.Abs(orZero(rho)), 'f', 3, 64) }

func orZero(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}
