package views

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/cotrain/cotrain/internal/run"
)

func sweepPath(id run.SweepID) string { return "/sweeps/" + string(id) }

// SweepList is a page of sweeps, newest first.
type SweepList struct {
	Sweeps []run.Sweep
	Before run.SweepID // the page begins before this one, "" on the first page
	Older  run.SweepID // the last sweep of this page when older ones exist, else ""
	Now    time.Time
}

func sweepsBefore(id run.SweepID) string { return "/sweeps?before=" + string(id) }

// sweepRuns is how many runs a sweep has, by its counts.
func sweepRuns(s run.Sweep) int {
	n := 0
	for _, c := range s.Counts {
		n += c
	}
	return n
}

// sweepEnded is how many of them have ended.
func sweepEnded(s run.Sweep) int {
	n := 0
	for state, c := range s.Counts {
		if state.Terminal() {
			n += c
		}
	}
	return n
}

// sweepDone is true when nothing is left to run.
func sweepDone(s run.Sweep) bool { return sweepEnded(s) == sweepRuns(s) }

func sweepStates(s run.Sweep) []run.State {
	return slices.DeleteFunc(run.States(), func(state run.State) bool { return s.Counts[state] == 0 })
}

// sweepProgress is the share of the runs that have ended, and the same in words.
func sweepProgress(s run.Sweep) (share float64, words string) {
	n, ended := sweepRuns(s), sweepEnded(s)
	if n == 0 {
		return 0, "no runs"
	}
	return float64(ended) / float64(n), Integer(ended) + " of " + plural(n, "run") + " ended"
}

func parallelText(n int) string {
	if n == 0 {
		return "no limit"
	}
	return plural(n, "run") + " at a time"
}

// SweepColumn is one varied field.
type SweepColumn struct {
	Field, Label string
}

// SweepRun is one run of a sweep.
type SweepRun struct {
	Run    run.Run
	Number int      // its place in the sweep, from 1
	Values []string // of the columns
	Best   bool     // it has the best value of the chosen metric
}

// values are the numbers by which the script sorts, and finds the best.
func (r SweepRun) values() templ.Attributes {
	out := templ.Attributes{"data-step": strconv.FormatInt(r.Run.Progress.Step, 10), "data-rate": exact(r.Run.Progress.TokensPerSec)}
	if r.Run.Progress.HasLoss {
		out["data-loss"] = exact(r.Run.Progress.Loss)
	}
	return out
}

// SweepDetail is one sweep.
type SweepDetail struct {
	Sweep   run.Sweep
	Columns []SweepColumn
	Runs    []SweepRun
	Sort    string // key of the column that sorts, "" for the number
	Desc    bool
	Metric  string // loss or throughput: which values are best
	Seq     int64  // of the topic that the page follows
	Topic   string
	Now     time.Time
}

// The metrics by which a run of a sweep can be best.
const (
	MetricLoss       = "loss"
	MetricThroughput = "throughput"
)

// href is the sweep's page with this order and metric.
func (d SweepDetail) href(sort string, desc bool, metric string) string {
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
		return sweepPath(d.Sweep.ID)
	}
	return sweepPath(d.Sweep.ID) + "?" + q.Encode()
}

// sortHref is where a click on a column's head leads: up first, then down.
func (d SweepDetail) sortHref(key string) string {
	return d.href(key, d.Sort == key && !d.Desc, d.Metric)
}

// order is the value of aria-sort for a column.
func (d SweepDetail) order(key string) string {
	switch {
	case d.Sort != key:
		return "none"
	case d.Desc:
		return "descending"
	}
	return "ascending"
}

func (d SweepDetail) metricTabs() []Tab {
	return []Tab{
		{Key: MetricLoss, Label: "Lowest loss", Href: d.href(d.Sort, d.Desc, MetricLoss), Current: d.Metric != MetricThroughput},
		{Key: MetricThroughput, Label: "Most tokens/s", Href: d.href(d.Sort, d.Desc, MetricThroughput), Current: d.Metric == MetricThroughput},
	}
}

// SweepStopConfirm asks before the runs of a sweep are stopped.
func SweepStopConfirm(s run.Sweep) Confirm {
	left := sweepRuns(s) - sweepEnded(s)
	return Confirm{
		Key: "stop-sweep", Title: fmt.Sprintf("Stop all of “%s”?", s.Name), Icon: "stop", Label: "Stop all runs", KeepLabel: "Keep them running",
		Effects: []string{
			"Of its " + plural(sweepRuns(s), "run") + ", " + Integer(left) + " have not ended. Waiting runs are cancelled; running workers are asked to save and stop.",
			"Runs that have ended stay, and so do all curves and logs.",
		},
		Action: sweepPath(s.ID) + "/stop", Back: sweepPath(s.ID),
	}
}

// SweepDeleteConfirm asks before a sweep is deleted.
func SweepDeleteConfirm(s run.Sweep) Confirm {
	return Confirm{
		Key: "delete-sweep", Title: fmt.Sprintf("Delete the sweep “%s”?", s.Name), Icon: "trash", Label: "Delete the sweep", KeepLabel: "Keep it",
		Effects: []string{
			"Its " + plural(sweepRuns(s), "run") + " are deleted with it: their configurations, curves, logs and events cannot be brought back.",
			"Checkpoints that workers wrote on the nodes are not touched.",
		},
		Action: sweepPath(s.ID) + "/delete", Back: sweepPath(s.ID),
	}
}

// SweepForm is the form for a new sweep.
type SweepForm struct {
	Name     Field
	Parallel Field
	List     bool // a list of runs instead of a grid
	Rows     []SweepAxis
	Fields   []SweepChoice // what can be varied
	Base     string        // what is varied, as JSON; it travels with the form
	From     string        // what it was taken from, in words
	FromHref string
	Source   string // the same as the server names it; it travels with the form
	Facts    []Fact // of the base
	Key      string // makes a repeated submission return the first one's sweep
	Preview  SweepPreview
	// Shared are folders that all runs would write into; OwnFolders gives each run its own below them.
	Shared     []Fact
	OwnFolders bool

	Submitted bool
	General   []string
}

// SweepAxis is one row of the form: a field and its values as typed.
type SweepAxis struct {
	Number        int // from 1
	Field, Values string
	Current       string // what the base has, "" for not known
	Error         string
}

func (a SweepAxis) id() string { return "axis-" + strconv.Itoa(a.Number) }

// SweepChoice is a field that can be varied.
type SweepChoice struct {
	Path, Label string
}

// SweepPoint is one run that the sweep would make.
type SweepPoint struct {
	Number int
	Values []string // of the columns
	GPUs   int
	Errors []string
}

// SweepPreview is the runs that the form would make.
type SweepPreview struct {
	Problem string // why there are none yet, or ""
	Columns []SweepColumn
	Points  []SweepPoint // the first of them
	More    int          // how many follow those
	Total   int
	Broken  int    // how many have errors
	Facts   []Fact // the total cost
	Warning string
}

// choiceGroup is what can be chosen of one kind.
type choiceGroup struct {
	Label   string
	Choices []DiffChoice
}

// choiceGroups are presets, templates and runs apart.
func choiceGroups(choices []DiffChoice) []choiceGroup {
	groups := []choiceGroup{{Label: "Presets"}, {Label: "Templates"}, {Label: "Runs"}}
	for _, c := range choices {
		kind, _, _ := strings.Cut(c.Ref, ":")
		i := max(0, slices.Index([]string{"preset", "template", "run"}, kind))
		groups[i].Choices = append(groups[i].Choices, c)
	}
	return slices.DeleteFunc(groups, func(g choiceGroup) bool { return len(g.Choices) == 0 })
}

func (f SweepForm) mistakes() []string {
	var out []string
	for _, x := range []Field{f.Name, f.Parallel} {
		if x.Error != "" {
			out = append(out, x.Label+": "+x.Error)
		}
	}
	for _, a := range f.Rows {
		if a.Error != "" {
			out = append(out, "Field "+strconv.Itoa(a.Number)+": "+a.Error)
		}
	}
	if f.Preview.Broken > 0 && len(f.General) == 0 {
		out = append(out, plural(f.Preview.Broken, "run")+" would not be valid: see the list of runs.")
	}
	return append(out, f.General...)
}

func (f SweepForm) submitLabel() string {
	if f.Preview.Total == 0 || f.Preview.Problem != "" {
		return "Start the sweep"
	}
	return "Start " + plural(f.Preview.Total, "run")
}
