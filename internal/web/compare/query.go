package compare

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/compare"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/compare"
)

const (
	maxMetrics = 8  // charts of a comparison, and columns of its table
	maxHidden  = 64 // bytes of a line's key
)

// The parameters of the days, of which from and to are the range of the charts.
const (
	fromDay = "since"
	toDay   = "until"
)

// filters are the parameters by which the list of runs filters, and viewed those of the charts, which the scripts read.
var (
	filters = append(page.FilterParams[:], page.ParamProject, fromDay, toDay)
	viewed  = []string{"from", "to", "log", "logx", "clip"}
)

// readQuery reads an address. It reports whether that is not the canonical one: it adds or removes a run or a metric, or a form left
// something empty.
func readQuery(r *http.Request) (q view.Query, moved bool, err error) {
	v := r.URL.Query()
	q = view.Query{
		X: page.Text(v.Get("x"), 110), Smooth: page.Text(v.Get("smooth"), 40), Group: page.Text(v.Get("group"), 200), At: page.Text(v.Get("at"), 20),
		Sort: page.Text(v.Get("sort"), 600), Desc: v.Get("desc") == "1", Filter: url.Values{}, View: url.Values{},
	}
	for _, name := range filters {
		pick(q.Filter, v, name)
	}
	for _, name := range viewed {
		pick(q.View, v, name)
	}
	var errs run.FieldErrors
	if sweep := v.Get("sweep"); sweep != "" {
		if q.Sweep, err = run.ParseSweepID(sweep); err != nil {
			return q, false, run.NoSweep(page.Text(sweep, 60))
		}
	}
	q.Runs = ids(v["runs"])
	q.Metrics = metrics(v["metric"], v["without"])
	for _, key := range split(v["hide"]) {
		q.Hidden = append(q.Hidden, page.Text(key, maxHidden))
	}
	if all := v["base"]; len(all) > 0 { // a button's comes after the one before
		q.Base = run.ID(page.Text(all[len(all)-1], 60))
	}
	if q.At != "" {
		if n, err := strconv.ParseInt(q.At, 10, 64); err != nil || n < 0 || n > run.MaxStep {
			errs = append(errs, run.FieldError{Field: "at", Value: q.At, Rule: "is no step", Fix: "give a whole number such as 1000"})
			q.At = ""
		}
	}
	moved = v.Has("without") || len(v["base"]) > 1 || slices.ContainsFunc([]string{"metric", "x", "smooth", "group", "at", "add", "base"}, func(name string) bool { return slices.Contains(v[name], "") })
	errs = append(errs, checkRuns(&q)...)
	errs = append(errs, checkCharts(&q)...)
	if len(errs) > 0 {
		return q, moved, errs
	}
	return q, moved, nil
}

// checkRuns checks that the runs are named in one way, of which the first is taken.
func checkRuns(q *view.Query) (errs run.FieldErrors) {
	by := "runs"
	switch {
	case len(q.Runs) > 0 && q.Sweep != "":
		errs = append(errs, run.FieldError{Field: "sweep", Value: string(q.Sweep), Rule: "sweep is ignored: runs names the runs", Fix: "leave out one of the two"})
		q.Sweep = ""
	case q.Sweep != "":
		by = "sweep"
	case len(q.Runs) == 0:
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(q.Filter)) {
		if name != page.ParamProject { // of the page, not only a filter
			errs = append(errs, run.FieldError{Field: name, Value: q.Filter.Get(name), Rule: "the filter " + name + " is ignored: " + by + " names the runs", Fix: "leave out one of the two"})
			q.Filter.Del(name)
		}
	}
	return errs
}

// checkFound checks what the query says of the runs that it found, and leaves out what is not so.
func checkFound(q *view.Query, found picked) (errs run.FieldErrors) {
	if len(found.runs) == 0 {
		return nil
	}
	if q.Base != "" && !slices.Contains(found.missing, string(q.Base)) && !slices.ContainsFunc(found.runs, func(r run.Run) bool { return r.ID == q.Base }) {
		errs = append(errs, run.FieldError{Field: "base", Value: string(q.Base), Rule: "the baseline is not among the runs", Fix: "choose one of them"})
		q.Base = ""
	}
	if q.Group != "" && !compare.Groups(q.Group) {
		errs = append(errs, run.FieldError{Field: "group", Value: q.Group, Rule: "nothing groups runs by " + fault.Clip(q.Group, 60), Fix: "use settings, tag, sweep, or the path of a setting such as optim.optim.lr"})
		q.Group = ""
	}
	return errs
}

func pick(to, from url.Values, name string) {
	for _, value := range from[name] {
		if value != "" {
			to.Add(name, page.Text(value, 400))
		}
	}
}

// split reads lists with commas.
func split(lists []string) (out []string) {
	for _, list := range lists {
		for text := range strings.SplitSeq(list, ",") {
			if text = strings.TrimSpace(text); text != "" {
				out = append(out, text)
			}
		}
	}
	return out
}

// ids reads what may be runs, each once.
func ids(lists []string) (out []run.ID) {
	known := map[string]bool{}
	for _, text := range split(lists) {
		if !known[text] {
			known[text] = true
			out = append(out, run.ID(page.Text(text, 60)))
		}
	}
	return out
}

func metrics(asked, without []string) (out []string) {
	for _, m := range asked {
		if m != "" && !slices.Contains(out, m) && !slices.Contains(without, m) {
			out = append(out, m)
		}
	}
	if len(out) == 0 {
		out = []string{view.DefaultMetric}
	}
	return out
}

// checkCharts checks what the charts would refuse, and replaces it by what is usual.
func checkCharts(q *view.Query) run.FieldErrors {
	_, err := chart.ParseQuery(chartValues(*q))
	var errs run.FieldErrors
	if len(q.Metrics) > maxMetrics {
		errs = append(errs, run.FieldError{Field: "metric", Value: strconv.Itoa(len(q.Metrics)), Rule: fmt.Sprintf("is given more than %d times", maxMetrics), Fix: "compare fewer metrics at once"})
		q.Metrics = q.Metrics[:maxMetrics]
	}
	if err == nil {
		return errs
	}
	bad := trainconf.AsFieldErrors(err)
	for _, f := range bad {
		switch f.Field {
		case "metric", "formula":
			q.Metrics = []string{view.DefaultMetric}
		case "x":
			q.X = ""
		case "smooth":
			q.Smooth = ""
		}
	}
	return append(errs, bad...)
}

func chartValues(q view.Query) url.Values {
	return url.Values{"metric": q.Metrics, "x": {q.X}, "smooth": {q.Smooth}}
}
