package compare

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/compare"
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
	if err := checkCharts(&q); err != nil {
		errs = append(errs, err...)
	}
	if len(errs) > 0 {
		return q, moved, errs
	}
	return q, moved, nil
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

// ids reads what may be runs, each once; one more than can be compared shows that there are too many.
func ids(lists []string) (out []run.ID) {
	known := map[string]bool{}
	for _, text := range split(lists) {
		if !known[text] && len(out) <= compare.MaxRuns {
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
		case "metric":
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
