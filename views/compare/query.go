package compare

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
)

// Query is what the address of a comparison says.
type Query struct {
	Runs    []run.ID    // named one by one, or
	Sweep   run.SweepID // those of a sweep, or
	Filter  url.Values  // those of the list with these parameters
	Metrics []string
	X       string // the axis of the charts, "" for steps
	Smooth  string
	Group   string // what makes a group, "" for none
	Base    run.ID // "" for none
	At      string // a step, or ""
	Sort    string // a column, "" for the order of the runs
	Desc    bool
	Hidden  []string   // keys of lines
	View    url.Values // of the charts, which the scripts read and write
}

// Path is the address of the page.
const Path = "/compare"

// Href is the address of the comparison.
func (q Query) Href() string {
	runs := make([]string, len(q.Runs))
	for i, id := range q.Runs {
		runs[i] = string(id)
	}
	v := url.Values{}
	for _, more := range []url.Values{q.Filter, q.View} {
		for name, values := range more {
			v[name] = slices.Clone(values)
		}
	}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	set("sweep", string(q.Sweep))
	if !slices.Equal(q.Metrics, []string{DefaultMetric}) {
		v["metric"] = q.Metrics
	}
	set("x", q.X)
	set("smooth", q.Smooth)
	set("group", q.Group)
	set("base", string(q.Base))
	set("at", q.At)
	set("sort", q.Sort)
	if q.Desc {
		v.Set("desc", "1")
	}
	out := strings.ReplaceAll(v.Encode(), "%2C", ",")
	// Commas stay, so that 200 runs are an address that a person can still send.
	for _, list := range []struct {
		name   string
		values []string
	}{{"hide", q.Hidden}, {"runs", runs}} {
		if len(list.values) > 0 {
			out = strings.TrimSuffix(list.name+"="+strings.Join(list.values, ",")+"&"+out, "&")
		}
	}
	return strings.TrimSuffix(Path+"?"+out, "?")
}

// DefaultMetric is shown where none is asked for.
const DefaultMetric = "loss"

// Of is the address that compares runs.
func Of(ids ...run.ID) string { return Query{Runs: ids, Metrics: []string{DefaultMetric}}.Href() }

// OfSweep is the address that compares the runs of a sweep.
func OfSweep(id run.SweepID) string {
	return Query{Sweep: id, Metrics: []string{DefaultMetric}}.Href()
}

// SeriesHref is where the lines of a metric are read.
func (q Query) SeriesHref() string {
	q.View, q.Metrics, q.X, q.Smooth, q.Sort, q.Desc, q.Base, q.At, q.Hidden = nil, []string{DefaultMetric}, "", "", "", false, "", "", nil
	return Path + "/series" + strings.TrimPrefix(q.Href(), Path)
}

// sorted is the address with another order: up first, then down.
func (q Query) sorted(column string) string {
	q.Desc = q.Sort == column && !q.Desc
	q.Sort = column
	return q.Href()
}

func (q Query) withBase(id run.ID) string {
	if q.Base == id {
		id = ""
	}
	q.Base = id
	return q.Href()
}

// carried are the parameters that the form does not ask for.
func (q Query) carried() [][2]string {
	var out [][2]string
	add := func(name, value string) {
		if value != "" {
			out = append(out, [2]string{name, value})
		}
	}
	runs := make([]string, len(q.Runs))
	for i, id := range q.Runs {
		runs[i] = string(id)
	}
	add("runs", strings.Join(runs, ","))
	add("sweep", string(q.Sweep))
	for _, m := range q.Metrics {
		add("metric", m)
	}
	for _, more := range []url.Values{q.Filter, q.View} {
		for _, name := range slices.Sorted(maps.Keys(more)) {
			for _, value := range more[name] {
				add(name, value)
			}
		}
	}
	add("base", string(q.Base))
	add("sort", q.Sort)
	if q.Desc {
		add("desc", "1")
	}
	add("hide", strings.Join(q.Hidden, ","))
	return out
}
