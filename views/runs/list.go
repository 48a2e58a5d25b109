package runs

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// List is the list of runs as filtered.
type List struct {
	Entries []Entry
	Text    string    // the filter's text
	Project string    // the filter's project, "" for the selected one, or any
	Owner   string    // the filter's owner, "" for everybody
	State   run.State // the filter's state, "" for any
	Before  run.ID    // the page begins before this run, "" on the first page
	Older   run.ID    // the last run of this page when older ones exist, else ""
	Open    []run.SweepID
	Counts  run.Counts // of the runs that have the filter's text
	Topic   string     // of the socket
	Seq     int64      // of the topic
	Now     time.Time
}

// Entry is a row of the list: a run, or a sweep that its runs are folded into.
type Entry struct {
	Run   run.Run
	Sweep *FoldedSweep
}

// FoldedSweep is a sweep in the list of runs.
type FoldedSweep struct {
	Sweep run.Sweep
	Best  run.Run   // the run with the lowest loss; without an ID when there is none
	Open  bool      // its runs are shown
	Runs  []run.Run // those that match and are shown, by number
	More  bool      // it has more of them
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

// count is a number of runs on a tab, "" where not even one has been counted of those that there may be.
func count(c run.Count) string {
	switch {
	case c.N == 0 && c.More:
		return ""
	case c.More:
		return ui.Integer(c.N) + "+"
	}
	return ui.Integer(c.N)
}

func (l List) filtered() bool { return l.Text != "" || l.State != "" || l.Owner != "" }

// href is the list's address with this state and start, and these sweeps open.
func (l List) href(state run.State, before run.ID, open ...run.SweepID) string {
	q := url.Values{}
	if l.Text != "" {
		q.Set("q", l.Text)
	}
	if l.Project != "" {
		q.Set("project", l.Project)
	}
	if l.Owner != "" {
		q.Set("owner", l.Owner)
	}
	if state != "" {
		q.Set("state", string(state))
	}
	if before != "" {
		q.Set("before", string(before))
	}
	for _, id := range open {
		q.Add("open", string(id))
	}
	if len(q) == 0 {
		return "/"
	}
	return "/?" + q.Encode()
}

// unfiltered is the address of the list with everything of what it shows: the project stays.
func (l List) unfiltered() string { return List{Project: l.Project}.href("", "") }

// kept are the filters that the form with the text sends along.
func (l List) kept() []ui.Choice {
	out := []ui.Choice{}
	for _, c := range []ui.Choice{{Label: "state", Value: string(l.State)}, {Label: "project", Value: l.Project}, {Label: "owner", Value: l.Owner}} {
		if c.Value != "" {
			out = append(out, c)
		}
	}
	return out
}

// anybody is the address of the list without its owner.
func (l List) anybody() string {
	l.Owner = ""
	return l.href(l.State, "")
}

// columns are how many the table has.
func (l List) columns() string {
	n := 9
	for _, shown := range []bool{l.projects(), l.owners()} {
		if shown {
			n++
		}
	}
	return strconv.Itoa(n)
}

// projects reports whether the list shows more than one.
func (l List) projects() bool {
	return slices.ContainsFunc(l.Entries, func(e Entry) bool { return e.Run.Project != l.Entries[0].Run.Project })
}

// owners reports whether the list shows more than one.
func (l List) owners() bool {
	return slices.ContainsFunc(l.Entries, func(e Entry) bool { return e.Run.Owner != l.Entries[0].Run.Owner })
}

// toggleHref is the list's address with a sweep opened, or closed.
func (l List) toggleHref(f FoldedSweep) string {
	open := slices.DeleteFunc(slices.Clone(l.Open), func(id run.SweepID) bool { return id == f.Sweep.ID })
	if !f.Open {
		open = append(open, f.Sweep.ID)
	}
	return l.href(l.State, l.Before, open...)
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

// Href is the address of the list as it is shown.
func (l List) Href() string { return l.href(l.State, l.Before, l.Open...) }

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
