package runs

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// Column is a column of the list that a person may choose. Each has its run's name and state, too.
type Column struct {
	Key   string // as in the address
	Label string
	Sort  string // what it is sorted by, as [run.ParseOrder] reads it, or ""
	Live  bool   // it tells of training: a run that waits has its reason there
}

var columns = []Column{
	{Key: "progress", Label: "Progress", Live: true}, {Key: "step", Label: "Step", Sort: "step", Live: true}, {Key: "loss", Label: "Loss", Sort: "loss", Live: true},
	{Key: "curve", Label: "Loss curve", Live: true}, {Key: "throughput", Label: "Tokens/s", Sort: "throughput", Live: true}, {Key: "workers", Label: "Workers", Live: true},
	{Key: "duration", Label: "Duration", Sort: "duration", Live: true}, {Key: "note", Label: "Note"}, {Key: "model", Label: "Model", Sort: "model"},
	{Key: "project", Label: "Project", Sort: "project"}, {Key: "owner", Label: "Owner", Sort: "owner"}, {Key: "created", Label: "Created", Sort: "created"}, {Key: "ended", Label: "Ended", Sort: "ended"},
}

// nameColumn is there always.
var nameColumn = Column{Key: "name", Label: "Run", Sort: "name"}

var usualColumns = []string{"progress", "step", "loss", "curve", "throughput", "workers", "duration", "created"}

// MaxMetricColumns is the most columns of metrics.
const MaxMetricColumns = 12

// Columns returns those that are known, in the order of the table, and metrics after what tells of training. No keys are the usual ones, with
// project and owner where the list shows several.
func Columns(given []string, projects, owners bool) (out []Column) {
	if len(given) == 0 {
		given = slices.Clone(usualColumns)
		if projects {
			given = append(given, "project")
		}
		if owners {
			given = append(given, "owner")
		}
	}
	for _, c := range columns {
		if c.Key == "note" {
			out = append(out, metricColumns(given)...)
		}
		if slices.Contains(given, c.Key) {
			out = append(out, c)
		}
	}
	return out
}

// WithSorted adds the column of an order to those that are shown, so that the list shows how it is sorted.
func WithSorted(shown []Column, o run.Order) []Column {
	if o.By == "" || o.By == nameColumn.Sort {
		return shown
	}
	key := o.By
	if o.By == "metric" {
		o.Up = true
		key = o.String()
	}
	keys := []string{key} // first: of metrics there may be too many
	for _, c := range shown {
		keys = append(keys, c.Key)
	}
	if slices.Contains(keys[1:], key) {
		return shown
	}
	return Columns(keys, false, false)
}

func metricColumns(given []string) (out []Column) {
	for _, key := range given {
		o, err := run.ParseOrder(key)
		if err != nil || o.By != "metric" || !o.Up || len(out) == MaxMetricColumns || slices.ContainsFunc(out, func(c Column) bool { return c.Key == key }) {
			continue
		}
		label := o.Metric
		if o.Of != "last" {
			label = map[string]string{"low": "Lowest ", "high": "Highest "}[o.Of] + o.Metric
		}
		out = append(out, Column{Key: key, Label: label, Sort: key})
	}
	return out
}

// Metrics are those that the columns show.
func Metrics(shown []Column) (out []string) {
	for _, c := range shown {
		if c.Key == "curve" {
			out = append(out, "loss")
		} else if o, err := run.ParseOrder(c.Key); err == nil && o.By == "metric" {
			out = append(out, o.Metric)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// lives are how many columns tell of training, one behind the other.
func (l List) lives() (n int) {
	for _, c := range l.Shown {
		if c.Live {
			n++
		}
	}
	return n
}

// sweepSpans are how many columns the cells of a sweep's row have: its counts from the state on, its best loss where that of a run
// is, and its best run in what tells of training behind it.
func (l List) sweepSpans() (counts, loss, best int) {
	live := slices.DeleteFunc(slices.Clone(l.Shown), func(c Column) bool { return !c.Live })
	switch at := slices.IndexFunc(live, func(c Column) bool { return c.Key == "loss" }); {
	case at >= 0:
		return 1 + at, 1, len(live) - at - 1
	case len(live) > 0:
		return len(live), 0, 1
	}
	return 1, 0, 0
}

func (l List) shows(key string) bool {
	return slices.ContainsFunc(l.Shown, func(c Column) bool { return c.Key == key })
}

// optional are the columns to choose from: those of metrics are there once they are shown.
func (l List) optional() []Column {
	out := slices.Clone(columns)
	for _, c := range l.Shown {
		if strings.HasPrefix(c.Key, "metric:") {
			out = append(out, c)
		}
	}
	return out
}

// sortHref is the address of the list sorted by a column, or the other way around.
func (l List) sortHref(c Column) string {
	order, err := run.ParseOrder(c.Sort)
	if err != nil {
		return l.Href()
	}
	switch direction := l.sorted(c); {
	case direction == "ascending":
		order.Up = false
	case direction == "" && (c.Key == "created" || c.Key == "ended" || c.Key == "throughput" || c.Key == "step" || c.Key == "duration"):
		order.Up = false
	}
	return l.first(func(f *Filter) { f.Sort = order })
}

// sorted is how the list is sorted by a column, as aria-sort says it, or "".
func (l List) sorted(c Column) string {
	order, err := run.ParseOrder(c.Sort)
	if c.Sort == "" || err != nil || order.By != l.Sort.By || order.Metric != l.Sort.Metric || order.Of != l.Sort.Of {
		return ""
	}
	if l.Sort.Up {
		return "ascending"
	}
	return "descending"
}

// class is how wide a column is.
func (c Column) class() string {
	if strings.HasPrefix(c.Key, "metric:") {
		return "num col-metric"
	}
	name := "col-" + c.Key
	if slices.Contains([]string{"step", "loss", "throughput", "workers", "duration", "created", "ended"}, c.Key) {
		return "num " + name
	}
	return name
}

// metric is the value of a column of a metric, and exactly.
func (e Entry) metric(c Column) (text, title string) {
	o, err := run.ParseOrder(c.Key)
	s, ok := e.Metrics[o.Metric]
	if err != nil || !ok {
		return ui.Absent, ""
	}
	v := map[string]float64{"last": s.Last, "low": s.Low, "high": s.High}[o.Of]
	if math.IsNaN(v) && o.Of != "last" {
		return ui.Absent, ""
	}
	return ui.Number(v), ui.Exact(v)
}

var curveBox = fmt.Sprintf("0 0 %d %d", curveWidth, curveHeight)

// sortAttr says of a column's heading that the table is sorted by it.
func sortAttr(direction string) templ.Attributes {
	if direction == "" {
		return nil
	}
	return templ.Attributes{"aria-sort": direction}
}

// Metric is what a row shows of a metric.
type Metric struct {
	Last, Low, High float64 // NaN for none
	Curve           []CurveColumn
}

// CurveColumn is a column of a small curve.
type CurveColumn struct{ X, Min, Max float64 } // X from 0 to 1

// The size of a small curve.
const (
	curveWidth  = 96
	curveHeight = 24
)

// curve is the small curve of the loss as the path of an SVG image, and in words; "" without one.
func (e Entry) curve() (path, words string) {
	s := e.Metrics["loss"]
	shape := s.Curve
	if len(shape) < 2 {
		return "", ""
	}
	low, high := shape[0].Min, shape[0].Max
	for _, c := range shape {
		low, high = min(low, c.Min), max(high, c.Max)
	}
	y := func(v float64) float64 {
		if high <= low {
			return curveHeight / 2
		}
		return 1 + (curveHeight-2)*(1-(v-low)/(high-low))
	}
	var b strings.Builder
	for i, c := range shape {
		fmt.Fprintf(&b, "%c%.1f %.1f", "LM"[b2i(i == 0)], 1+c.X*(curveWidth-2), y((c.Min+c.Max)/2))
		if c.Max > c.Min {
			fmt.Fprintf(&b, "V%.1fV%.1f", y(c.Max), y(c.Min))
		}
	}
	return b.String(), fmt.Sprintf("Loss from %s to %s, lowest %s", ui.Number((shape[0].Min+shape[0].Max)/2), ui.Number(s.Last), ui.Number(s.Low))
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
