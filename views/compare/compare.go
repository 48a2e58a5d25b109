package compare

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/compare"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// Data is a comparison.
type Data struct {
	Query       Query
	Rows        []Row    // in the order of the table
	Missing     []string // runs that were asked for and are not there
	Bounded     string   // which runs were left out, or ""
	Title       string   // of the sweep, or ""
	Base        int      // index in Rows, -1 for none
	Groups      []Group  // nil unless grouped
	Names       []string // of all metrics
	GroupBy     []ui.Choice
	Choices     []ui.Choice // runs to add
	Problem     string      // what is wrong with the query, or ""
	Differences []Difference
	Analysis    *Analysis // nil for fewer than three runs, or where nothing differs
	Now         time.Time
}

// Row is one run.
type Row struct {
	Run    run.Run
	Key    string // of its line: the run's or the group's
	Slot   int    // colour and dash of its line
	Shade  int    // its colour where there are too many lines for a look each, from 0 for the best or lowest value
	Group  string // label, "" unless grouped
	Values compare.Values
}

// Group is runs that are drawn as one line.
type Group struct {
	Key, Label string
	Slot       int
	Shade      int
	Runs       int
	Finals     []compare.Spread // by metric
}

// Difference is a setting in which runs differ.
type Difference struct {
	Field, Label string
	Values       []string // by row
}

// slots is how many lines look different: 8 colours with 4 dashes each.
const slots = 32

// lines is how many lines a chart has.
func (d Data) lines() int {
	if len(d.Groups) > 0 {
		return len(d.Groups)
	}
	return len(d.Rows)
}

// byValue reports whether there are too many lines for a look each: then the colour is that of the final value.
func (d Data) byValue() bool { return d.lines() > slots }

// columns is how many columns a whole line has where there are many, whatever the width of the chart; 0 for as many as that has pixels.
func (d Data) columns() int {
	if !d.byValue() {
		return 0
	}
	return compare.Columns(d.lines())
}

// early is what the first chart of many lines will ask for, to be asked for before the scripts run; "" where that depends on the chart.
func (d Data) early() string {
	q := d.Query
	if d.columns() == 0 || q.View.Has("from") {
		return ""
	}
	out := q.SeriesHref() + "&metric=" + url.QueryEscape(q.Metrics[0]) // as seriesURL in static/js/charts/load.js writes it
	if q.X != "" && q.X != "step" {
		out += "&x=" + url.QueryEscape(q.X)
	}
	out += "&px=" + strconv.Itoa(d.columns())
	if q.Smooth != "" {
		out += "&smooth=" + url.QueryEscape(q.Smooth)
	}
	return out
}

// Shades is how many colours stand for values.
const Shades = 8

// swatch is the class of a line's sample.
func (d Data) swatch(slot, shade int) string {
	if d.byValue() {
		return fmt.Sprintf("swatch shade-%d", shade)
	}
	return fmt.Sprintf("swatch swatch-%d swatch-dash-%d", slot%8+1, slot/8%4)
}

// sharedColumns is how many runs have a column each in the table of differences.
const sharedColumns = 8

// Share is how many runs have a value of a setting.
type Share struct {
	Value string
	Keys  string // of the lines, separated by blanks
	Runs  int
}

// shares groups the runs by their value of a setting, in the order of their first.
func (d Data) shares(values []string) (out []Share) {
	at := map[string]int{}
	for i, v := range values {
		n, ok := at[v]
		if !ok {
			n = len(out)
			at[v] = n
			out = append(out, Share{Value: v})
		} else {
			out[n].Keys += " "
		}
		out[n].Keys += d.Rows[i].Key
		out[n].Runs++
	}
	return out
}

// base is a value of the baseline.
func (d Data) base(of func(compare.Values) float64) float64 {
	if d.Base < 0 {
		return math.NaN()
	}
	return of(d.Rows[d.Base].Values)
}

// delta is how a value differs from the baseline's, as text and as a judgement: better, worse or "".
func delta(metric string, value, base float64) (text, judgement string) {
	d, ok := compare.DeltaOf(value, base)
	if !ok {
		return "", ""
	}
	text = signed(d.Absolute, ui.Number)
	if !math.IsNaN(d.Percent) && !math.IsInf(d.Percent, 0) {
		text += " (" + signed(d.Percent, func(v float64) string { return strconv.FormatFloat(v, 'f', percentDigits(v), 64) }) + "%)"
	}
	switch compare.DirectionOf(metric).Judge(value, base) {
	case 1:
		judgement = "better"
	case -1:
		judgement = "worse"
	}
	return text, judgement
}

func percentDigits(v float64) int {
	switch v = math.Abs(v); {
	case v >= 100:
		return 0
	case v >= 1:
		return 1
	case v >= 0.1:
		return 2
	}
	return 4
}

// signed writes a number with its sign, a proper minus included.
func signed(v float64, number func(float64) string) string {
	switch {
	case v < 0:
		return "−" + number(-v)
	case v > 0:
		return "+" + number(v)
	}
	return "±0"
}

func number(v float64) string {
	if math.IsNaN(v) {
		return ui.Absent
	}
	return ui.Number(v)
}

// final is a run's last value, which may be NaN itself.
func final(v compare.Value) string {
	if math.IsNaN(v.Final) && v.FinalStep > 0 {
		return "NaN"
	}
	return number(v.Final)
}

// unreported reports whether a run has never reported a metric; of formulas it does not say.
func (r Row) unreported(metric string) bool {
	_, ok := r.Values.Newest[metric]
	return !ok && !strings.HasPrefix(metric, "=")
}

// at says exactly what a value is and at which step it was.
func at(v float64, step int64) string {
	if math.IsNaN(v) {
		return ""
	}
	return ui.Exact(v) + " at step " + ui.Integer(step)
}

// smoothings are offered; another of the address stays chosen.
func (d Data) smoothings() []ui.Choice {
	out := []ui.Choice{{Value: "", Label: "None"}, {Value: "ema:0.6", Label: "EMA 0.6"}, {Value: "ema:0.9", Label: "EMA 0.9"}, {Value: "ema:0.99", Label: "EMA 0.99"}, {Value: "gauss:10", Label: "Gaussian, 10 points"}, {Value: "gauss:100", Label: "Gaussian, 100 points"}, {Value: "twema:60s", Label: "EMA over 1 min"}}
	return chosen(out, d.Query.Smooth)
}

func (d Data) axes() []ui.Choice {
	out := []ui.Choice{{Value: "", Label: "Step"}, {Value: "tokens", Label: "Tokens"}, {Value: "elapsed", Label: "Time since start"}, {Value: "time", Label: "Time"}}
	return chosen(out, d.Query.X)
}

// chosen adds a value that is not among choices.
func chosen(choices []ui.Choice, value string) []ui.Choice {
	for _, c := range choices {
		if c.Value == value {
			return choices
		}
	}
	return append(choices, ui.Choice{Value: value, Label: value})
}

// order is the value of aria-sort for a column.
func (q Query) order(column string) string {
	switch {
	case q.Sort != column:
		return "none"
	case q.Desc:
		return "descending"
	}
	return "ascending"
}

// hidden reports whether a line is hidden.
func (q Query) hidden(key string) bool {
	return slices.Contains(q.Hidden, key)
}

// missingShown is how many of the runs that are not there are named.
const missingShown = 10

// missing names the runs that are not there.
func (d Data) missing() string {
	if n := len(d.Missing) - missingShown; n > 0 {
		return strings.Join(d.Missing[:missingShown], ", ") + " and " + ui.Integer(n) + " more"
	}
	return strings.Join(d.Missing, ", ")
}

// why says why there is nothing to compare.
func (d Data) why() string {
	switch q := d.Query; {
	case len(q.Runs) > 0:
		return "None of the runs that the address names is there."
	case q.Sweep != "":
		return "The sweep has no runs."
	case len(q.Filter) > 0:
		return "Nothing matches the filters of the address."
	}
	return "Tick runs in a list and choose Compare, or add them by ID."
}

// withoutMissing is the address without the runs that are not there.
func (d Data) withoutMissing() string {
	q := d.Query
	q.Runs = slices.DeleteFunc(slices.Clone(q.Runs), func(id run.ID) bool { return slices.Contains(d.Missing, string(id)) })
	return q.Href()
}

func bestTitle(metric string) string {
	if compare.DirectionOf(metric) == compare.Lower {
		return "Lowest " + metric
	}
	return "Highest " + metric
}

func tokensTitle(r Row) string {
	if math.IsNaN(r.Values.Tokens) {
		return ""
	}
	return ui.Exact(r.Values.Tokens)
}
