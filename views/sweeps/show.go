package sweeps

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/compare"
	"github.com/cotrain/cotrain/views/ui"
)

// Column is one varied field.
type Column struct {
	Field, Label string
}

// Run is one run of a sweep.
type Run struct {
	Run    run.Run
	Number int      // its place in the sweep, from 1
	Values []string // of the columns
	Best   bool     // it has the best value of the chosen metric
}

// values are the numbers by which the script sorts, and finds the best.
func (r Run) values() templ.Attributes {
	out := templ.Attributes{"data-step": strconv.FormatInt(r.Run.Progress.Step, 10), "data-rate": ui.Exact(r.Run.Progress.TokensPerSec)}
	if r.Run.Progress.HasLoss {
		out["data-loss"] = ui.Exact(r.Run.Progress.Loss)
	}
	return out
}

// label names the run in the chart by what was varied: "#3 lr 3e-4, nodes 2".
func (r Run) label(columns []Column) string {
	var parts []string
	for i, c := range columns {
		value := r.Values[i]
		if value == "" {
			value = "default"
		}
		parts = append(parts, c.Field[strings.LastIndexByte(c.Field, '.')+1:]+" "+fault.Clip(value, maxLabel))
	}
	return "#" + strconv.Itoa(r.Number) + " " + strings.Join(parts, ", ")
}

const maxLabel = 60 // bytes of a value

// Detail is one sweep.
type Detail struct {
	Sweep   run.Sweep
	Columns []Column
	Runs    []Run
	Sort    string // key of the column that sorts, "" for the number
	Desc    bool
	Metric  string // loss or throughput: which values are best
	// Analysis tells how the metric depends on what was varied; nil where there is nothing to tell.
	Analysis *compare.Analysis
	Seq      int64 // of the topic that the page follows
	Topic    string
	Now      time.Time
}

// The metrics by which a run of a sweep can be best.
const (
	MetricLoss       = "loss"
	MetricThroughput = "throughput"
)

// href is the sweep's page with this order and metric.
func (d Detail) href(sort string, desc bool, metric string) string {
	q := url.Values{}
	if sort != "" {
		q.Set("sort", sort)
	}
	if desc {
		q.Set("desc", "1")
	}
	if metric != MetricLoss {
		q.Set("metric", metric)
	}
	if len(q) == 0 {
		return ui.SweepPath(d.Sweep.ID)
	}
	return ui.SweepPath(d.Sweep.ID) + "?" + q.Encode()
}

// sortHref is where a click on a column's head leads: up first, then down.
func (d Detail) sortHref(key string) string {
	return d.href(key, d.Sort == key && !d.Desc, d.Metric)
}

// order is the value of aria-sort for a column.
func (d Detail) order(key string) string {
	switch {
	case d.Sort != key:
		return "none"
	case d.Desc:
		return "descending"
	}
	return "ascending"
}

func (d Detail) metricTabs() []ui.Tab {
	return []ui.Tab{
		{Key: MetricLoss, Label: "Lowest loss", Href: d.href(d.Sort, d.Desc, MetricLoss), Current: d.Metric != MetricThroughput},
		{Key: MetricThroughput, Label: "Most tokens/s", Href: d.href(d.Sort, d.Desc, MetricThroughput), Current: d.Metric == MetricThroughput},
	}
}

// StopConfirm asks before the runs of a sweep are stopped.
func StopConfirm(s run.Sweep) ui.Confirm {
	left := RunCount(s) - ended(s)
	return ui.Confirm{
		Key: "stop-sweep", Title: fmt.Sprintf("Stop all of “%s”?", s.Name), Icon: "stop", Label: "Stop all runs", KeepLabel: "Keep running",
		Effects: []string{
			ui.Integer(left) + " of " + ui.Plural(RunCount(s), "run") + " have not ended. Waiting runs are cancelled; running ones save and stop.",
			"Ended runs, curves and logs are kept.",
		},
		Action: ui.SweepPath(s.ID) + "/stop", Back: ui.SweepPath(s.ID),
	}
}

// DeleteConfirm asks before a sweep is deleted.
func DeleteConfirm(s run.Sweep) ui.Confirm {
	return ui.Confirm{
		Key: "delete-sweep", Title: fmt.Sprintf("Delete sweep “%s”?", s.Name), Icon: "trash", Label: "Delete sweep", KeepLabel: "Keep",
		Effects: []string{
			ui.Plural(RunCount(s), "run") + " deleted with it: configurations, curves, logs and events are gone for good.",
			"Checkpoints on the nodes are kept.",
		},
		Action: ui.SweepPath(s.ID) + "/delete", Back: ui.SweepPath(s.ID),
	}
}
