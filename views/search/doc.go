// Package search is what the search over everything has found.
package search

import (
	"strconv"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// Found is what was found, by kind.
type Found struct {
	Text      string // what was searched for
	Now       time.Time
	Pages     []Hit
	Runs      []run.Run
	Sweeps    []run.Sweep
	Nodes     []run.Node
	Templates []Hit
	Projects  []Hit
	Users     []Hit
	Settings  []Hit
	Help      []Hit
}

// Hit is one line that leads somewhere.
type Hit struct {
	Title, Detail, Href string
	Key                 string // that leads there at once, or ""
	Field               string // ID of the field, where the form for a new run is open
}

func (f Found) count() int {
	return len(f.Pages) + len(f.Runs) + len(f.Sweeps) + len(f.Nodes) + len(f.Templates) + len(f.Projects) + len(f.Users) + len(f.Settings) + len(f.Help)
}

// summary is read out by screen readers.
func (f Found) summary() string {
	if n := f.count(); n != 1 {
		return strconv.Itoa(n) + " results"
	}
	return "1 result"
}

func nodes(all []run.Node) (out []Hit) {
	for _, n := range all {
		out = append(out, Hit{Title: n.Name, Detail: ui.Plural(len(n.GPUs), "GPU"), Href: "/cluster#node-" + n.ID})
	}
	return out
}

func sweeps(all []run.Sweep) (out []Hit) {
	for _, s := range all {
		n := 0
		for _, c := range s.Counts {
			n += c
		}
		out = append(out, Hit{Title: s.Name, Detail: ui.Plural(n, "run"), Href: ui.SweepPath(s.ID)})
	}
	return out
}
