package catalog

import (
	"slices"
	"strings"
	"unique"

	"github.com/cotrain/cotrain/internal/run"
)

// Entry is what a list knows of a run.
type Entry struct {
	ID       run.ID
	Name     string // as runs are sorted by it
	Text     string // what is searched
	State    run.State
	Archived bool
	Sweep    run.SweepID // "" for none
	Project  string
	Owner    string
	Model    string
	Labels   []Label
}

// Label is a tag or a node.
type Label struct{ Kind, Text string }

// The kinds of labels.
const (
	Tag  = "tag"
	Node = "node"
)

// row is an entry in memory: its texts in one piece, and what many runs share only once.
type row struct {
	texts                 string // ID, name, text
	labels                []unique.Handle[Label]
	project, owner, model unique.Handle[string]
	sweep                 unique.Handle[run.SweepID]
	state                 unique.Handle[run.State]
	slot                  uint32 // where columns have its values
	nameFrom, nameTo      uint16 // in texts
	archived              bool
}

func newRow(e Entry, slot uint32) *row {
	from := len(e.ID)
	r := &row{
		texts: string(e.ID) + e.Name + e.Text, nameFrom: uint16(from), nameTo: uint16(from + len(e.Name)), slot: slot, //nolint:gosec // of an ID, and at most 100 characters
		project: unique.Make(e.Project), owner: unique.Make(e.Owner), model: unique.Make(e.Model), sweep: unique.Make(e.Sweep), state: unique.Make(e.State), archived: e.Archived,
	}
	for _, l := range e.Labels {
		r.labels = append(r.labels, unique.Make(l))
	}
	return r
}

func (r *row) id() run.ID   { return run.ID(r.texts[:r.nameFrom]) }
func (r *row) name() string { return r.texts[r.nameFrom:r.nameTo] }
func (r *row) text() string { return r.texts[r.nameTo:] }

// Catalog is the runs at one moment. It never changes, and is safe for concurrent use.
type Catalog struct {
	rows    []*row // by ID
	slots   uint32 // that rows have had
	columns columns
}

// New makes a catalog of entries in the order of their IDs.
func New(entries []Entry) *Catalog {
	c := &Catalog{rows: make([]*row, len(entries)), slots: uint32(len(entries))} //nolint:gosec // memory has fewer
	for i, e := range entries {
		c.rows[i] = newRow(e, uint32(i)) //nolint:gosec // as above
	}
	return c
}

// Len is how many runs there are.
func (c *Catalog) Len() int { return len(c.rows) }

// Change is a run as it is now.
type Change struct {
	ID     run.ID
	Entry  *Entry          // nil once it is deleted
	Values map[Key]float64 // in the columns that the catalog has; none where there is no value
}

// With returns the catalog after some runs have changed.
func (c *Catalog) With(changes []Change) *Catalog {
	out := &Catalog{rows: slices.Clone(c.rows), slots: c.slots, columns: c.columns.clone()}
	var added []*row
	gone := false
	for _, ch := range changes {
		i, found := c.find(ch.ID)
		switch {
		case ch.Entry == nil && found:
			out.rows[i], gone = nil, true
		case ch.Entry == nil:
		case found:
			out.rows[i] = newRow(*ch.Entry, c.rows[i].slot)
			out.columns.set(c.rows[i].slot, ch.Values)
		default:
			added = append(added, newRow(*ch.Entry, out.slots))
			out.columns.set(out.slots, ch.Values)
			out.slots++
		}
	}
	if gone {
		out.rows = slices.DeleteFunc(out.rows, func(r *row) bool { return r == nil })
	}
	if sorted := len(out.rows) == 0 || len(added) > 0 && added[0].id() > out.rows[len(out.rows)-1].id(); len(added) > 0 {
		out.rows = append(out.rows, added...)
		if !sorted || !slices.IsSortedFunc(added, byID) {
			slices.SortFunc(out.rows, byID)
		}
	}
	return out
}

func byID(a, b *row) int { return strings.Compare(string(a.id()), string(b.id())) }

// find is where a run is, or would be.
func (c *Catalog) find(id run.ID) (int, bool) {
	return slices.BinarySearchFunc(c.rows, id, func(r *row, id run.ID) int { return strings.Compare(string(r.id()), string(id)) })
}
