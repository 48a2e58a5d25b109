package catalog

import (
	"maps"
	"math"
	"sync/atomic"

	"github.com/cotrain/cotrain/internal/run"
)

// Key is a number that runs are sorted by.
type Key struct {
	Metric string
	Of     string // last, low or high
}

// MaxColumns bounds the numbers that are kept, at 8 bytes a run each. The one that was used longest ago makes room.
const MaxColumns = 24

// pageRows is how many values are copied for one that changes.
const pageRows = 1024

type page [pageRows]float64

// column is one number of every run, NaN for those that have none.
type column struct {
	pages []*page
	used  *atomic.Int64 // when, on the columns' clock
}

// columns are those that lists have been sorted by.
type columns struct {
	of    map[Key]column
	clock *atomic.Int64
}

func (c column) at(slot uint32) float64 {
	if i := int(slot / pageRows); i < len(c.pages) && c.pages[i] != nil {
		return c.pages[i][slot%pageRows]
	}
	return math.NaN()
}

// with returns the column with another value, and shares the rest.
func (c column) with(slot uint32, value float64) column {
	if old := c.at(slot); old == value || math.IsNaN(old) && math.IsNaN(value) {
		return c
	}
	i := int(slot / pageRows)
	pages := make([]*page, max(len(c.pages), i+1))
	copy(pages, c.pages)
	p := new(page)
	if pages[i] != nil {
		*p = *pages[i]
	} else {
		p.clear()
	}
	p[slot%pageRows] = value
	pages[i] = p
	return column{pages, c.used}
}

// clear leaves no value.
func (p *page) clear() {
	for i := range p {
		p[i] = math.NaN()
	}
}

func (c columns) clone() columns { return columns{maps.Clone(c.of), c.clock} }

// set changes the values of a run in all columns.
func (c columns) set(slot uint32, values map[Key]float64) {
	for k, col := range c.of {
		v, ok := values[k]
		if !ok {
			v = math.NaN()
		}
		c.of[k] = col.with(slot, v)
	}
}

// Columns are the numbers that the catalog has.
func (c *Catalog) Columns() []Key {
	out := make([]Key, 0, len(c.columns.of))
	for k := range c.columns.of {
		out = append(out, k)
	}
	return out
}

// Has reports whether the catalog has a number, and notes that it is used.
func (c *Catalog) Has(k Key) bool {
	col, ok := c.columns.of[k]
	if ok {
		col.used.Store(c.columns.clock.Add(1))
	}
	return ok
}

// Value is a run's number.
type Value struct {
	ID    run.ID
	Value float64
}

// WithColumn returns the catalog with a number of those runs that have it, in the order of their IDs.
func (c *Catalog) WithColumn(k Key, values []Value) *Catalog {
	col := column{pages: make([]*page, (int(c.slots)+pageRows-1)/pageRows), used: new(atomic.Int64)}
	at := 0
	for _, v := range values {
		for at < len(c.rows) && c.rows[at].id() < v.ID {
			at++
		}
		if at == len(c.rows) || c.rows[at].id() != v.ID {
			continue
		}
		slot := c.rows[at].slot
		p := &col.pages[slot/pageRows]
		if *p == nil {
			*p = new(page)
			(*p).clear()
		}
		(*p)[slot%pageRows] = v.Value
	}
	out := &Catalog{rows: c.rows, slots: c.slots, columns: c.columns.clone()}
	if out.columns.of == nil {
		out.columns = columns{map[Key]column{}, new(atomic.Int64)}
	}
	out.columns.makeRoom()
	col.used.Store(out.columns.clock.Add(1))
	out.columns.of[k] = col
	return out
}

func (c columns) makeRoom() {
	if len(c.of) < MaxColumns {
		return
	}
	var oldest Key
	least := int64(math.MaxInt64)
	for k, col := range c.of {
		if used := col.used.Load(); used < least {
			oldest, least = k, used
		}
	}
	delete(c.of, oldest)
}
