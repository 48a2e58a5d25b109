package runs

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// Filter is what the address of the list says.
type Filter struct {
	Text     string    // "" for any, as in all that follow
	Project  string    // "" for the selected one, or any
	Owner    string    // login name
	State    run.State //
	Tags     []string  // all of them
	Model    string    // preset
	Node     string    // name
	Within   string    // an entry of [Spans]
	From, To string    // days
	Archived run.Archived
	Sort     run.Order
	Before   string // cursor, "" on the first page
	Columns  []string
	Open     []run.SweepID
}

// List is the list of runs as filtered.
type List struct {
	Filter
	Entries []Entry
	Next    string     // cursor of the next page, or ""
	Shown   []Column   // in their order
	Counts  run.Counts // of the runs that match but for their states
	All     bool       // what matches is selected as a whole
	Topic   string     // of the socket
	Seq     int64      // of the topic
	Now     time.Time
	Saved   bool     // the columns are as somebody saved them
	Presets []string // offered as models
	Default string   // the project whose default columns who looks may set, or ""
}

// Entry is a row of the list: a run, or a sweep that its runs are folded into.
type Entry struct {
	Run     run.Run
	Metrics map[string]Metric // of [Metrics]
	Sweep   *FoldedSweep
}

// FoldedSweep is a sweep in the list of runs.
type FoldedSweep struct {
	Sweep run.Sweep
	Best  run.Run   // the run with the lowest loss; without an ID when there is none
	Open  bool      // its runs are shown
	Runs  []run.Run // those that match and are shown, by number
	More  bool      // it has more of them
}

// Spans are the times since which runs may be sought, beside days.
func Spans() []ui.Choice {
	return []ui.Choice{{Value: "", Label: "Any time"}, {Value: "today", Label: "Today"}, {Value: "7d", Label: "Last 7 days"}, {Value: "30d", Label: "Last 30 days"}}
}

// best is the run with the lowest loss in words, and its loss.
func (f FoldedSweep) best() (number, loss, title string) {
	if f.Best.ID == "" {
		return ui.Absent, ui.Absent, ""
	}
	number = f.Best.Name
	if i := strings.LastIndexByte(number, '#'); i >= 0 {
		number = number[i:]
	}
	return number, ui.Number(f.Best.Progress.Loss), ui.Exact(f.Best.Progress.Loss)
}

// values are the parameters of the address, but for those named.
func (f Filter) values(without ...string) url.Values {
	q := url.Values{}
	set := func(name string, values ...string) {
		for _, v := range values {
			if v != "" && !slices.Contains(without, name) {
				q.Add(name, v)
			}
		}
	}
	set("q", f.Text)
	set("project", f.Project)
	set("owner", f.Owner)
	set("state", string(f.State))
	set("tag", f.Tags...)
	set("model", f.Model)
	set("node", f.Node)
	set("within", f.Within)
	set("from", f.From)
	set("to", f.To)
	switch f.Archived {
	case run.OnlyArchived:
		set("archived", "only")
	case run.WithArchived:
		set("archived", "all")
	case run.WithoutArchived:
	}
	set("sort", f.Sort.String())
	set("cols", strings.Join(f.Columns, ","))
	set("before", f.Before)
	for _, id := range f.Open {
		set("open", string(id))
	}
	return q
}

func addressOf(q url.Values) string {
	if len(q) == 0 {
		return "/"
	}
	return "/?" + q.Encode()
}

// Href is the address of the list as it is shown.
func (f Filter) Href() string { return addressOf(f.values()) }

// first is the address of the first page with something changed.
func (f Filter) first(change func(*Filter)) string {
	f.Before, f.Open, f.Tags = "", nil, slices.Clone(f.Tags)
	change(&f)
	return f.Href()
}

func (l List) inState(s run.State) string {
	return l.first(func(f *Filter) { f.State = s })
}

func (l List) page(cursor string) string {
	f := l.Filter
	f.Before, f.Open = cursor, nil
	return f.Href()
}

// everything is the address with all that match selected.
func (l List) everything() string {
	q := l.values("before", "open")
	q.Set("all", "1")
	return addressOf(q)
}

// unfiltered is the address of the list with everything of what it shows: the project, the order and the columns stay.
func (l List) unfiltered() string {
	return Filter{Project: l.Project, Sort: l.Sort, Columns: l.Columns, Archived: run.WithoutArchived}.Href()
}

// chip is a part of the filter that can be removed.
type chip struct{ Name, Value, Without string }

func (l List) chips() (out []chip) {
	add := func(name, value string, without func(*Filter)) {
		if value != "" {
			out = append(out, chip{name, value, l.first(without)})
		}
	}
	add("text", l.Text, func(f *Filter) { f.Text = "" })
	for _, t := range l.Tags {
		add("tag", t, func(f *Filter) { f.Tags = slices.DeleteFunc(f.Tags, func(other string) bool { return other == t }) })
	}
	add("model", l.Model, func(f *Filter) { f.Model = "" })
	add("node", l.Node, func(f *Filter) { f.Node = "" })
	add("owner", l.Owner, func(f *Filter) { f.Owner = "" })
	for _, s := range Spans() {
		if s.Value == l.Within && l.Within != "" {
			add("created", strings.ToLower(s.Label), func(f *Filter) { f.Within = "" })
		}
	}
	add("from", l.From, func(f *Filter) { f.From = "" })
	add("to", l.To, func(f *Filter) { f.To = "" })
	switch l.Archived {
	case run.OnlyArchived:
		add("archived", "only", func(f *Filter) { f.Archived = run.WithoutArchived })
	case run.WithArchived:
		add("archived", "too", func(f *Filter) { f.Archived = run.WithoutArchived })
	case run.WithoutArchived:
	}
	return out
}

func (l List) filtered() bool { return len(l.chips()) > 0 || l.State != "" }

// hidden are inputs with the parameters of the address, but for those named.
func (f Filter) hidden(without ...string) []ui.Choice {
	q := f.values(append(without, "before", "open")...)
	var out []ui.Choice
	for _, name := range slices.Sorted(keys(q)) {
		for _, v := range q[name] {
			out = append(out, ui.Choice{Label: name, Value: v})
		}
	}
	return out
}

func keys(q url.Values) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range q {
			if !yield(k) {
				return
			}
		}
	}
}

// toggleHref is the list's address with a sweep opened, or closed.
func (l List) toggleHref(s FoldedSweep) string {
	f := l.Filter
	f.Open = slices.DeleteFunc(slices.Clone(l.Open), func(id run.SweepID) bool { return id == s.Sweep.ID })
	if !s.Open {
		f.Open = append(f.Open, s.Sweep.ID)
	}
	return f.Href()
}

// states are those worth offering as a filter: every one that some run is in, and the chosen one.
func (l List) states() []run.State {
	var out []run.State
	for _, s := range run.States() {
		if _, ok := l.Counts[s]; ok || s == l.State {
			out = append(out, s)
		}
	}
	return out
}

// matching is how many runs match.
func (l List) matching() int {
	if l.State != "" {
		return l.Counts[l.State]
	}
	return l.Counts.Total()
}

// selectable says how many runs are selected as a whole.
func (l List) selectable() string {
	n := l.matching()
	if n > run.MaxBulk {
		return fmt.Sprintf("the newest %s of %s", ui.Integer(run.MaxBulk), ui.Integer(n))
	}
	return "all " + ui.Integer(n)
}

// width is how many columns the table has.
func (l List) width() string { return strconv.Itoa(len(l.Shown) + 3) }

// sampleRun says what the sample run does. Where and how fast it runs is known on a console that has its own agent.
func sampleRun(dev, submits bool) string {
	switch {
	case !submits:
		return "Runs appear here once somebody submits one."
	case dev:
		return "The sample run trains a small character model with three DiLoCo workers on this machine, in about a minute."
	}
	return "The sample run trains a small character model with three DiLoCo workers, or as many as the project allows. They need no GPUs."
}
