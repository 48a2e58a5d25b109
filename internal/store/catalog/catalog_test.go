package catalog_test

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/catalog"
)

// result is what a test knows of a run.
type result struct {
	entry  catalog.Entry
	values map[catalog.Key]float64
}

var keys = []catalog.Key{{Metric: " loss", Of: "last"}, {Metric: "eval/loss", Of: "low"}}

func drawn(t *rapid.T, id run.ID) result {
	e := catalog.Entry{
		ID: id, Name: rapid.SampledFrom([]string{"a", "b", "ä", ""}).Draw(t, "name"), Text: rapid.SampledFrom([]string{"one", "two", ""}).Draw(t, "text"),
		State: rapid.SampledFrom([]run.State{run.Queued, run.Failed}).Draw(t, "state"), Archived: rapid.Bool().Draw(t, "archived"), Sweep: rapid.SampledFrom([]run.SweepID{"", "s-1", "s-2"}).Draw(t, "sweep"),
		Project: rapid.SampledFrom([]string{"p", "q"}).Draw(t, "project"), Owner: rapid.SampledFrom([]string{"ann", "bob"}).Draw(t, "owner"), Model: rapid.SampledFrom([]string{"7b", "70b"}).Draw(t, "model"),
		Labels: rapid.SliceOfN(rapid.SampledFrom([]catalog.Label{{Kind: catalog.Tag, Text: "x"}, {Kind: catalog.Node, Text: "x"}, {Kind: catalog.Tag, Text: "y"}}), 0, 3).Draw(t, "labels"),
	}
	r := result{e, map[catalog.Key]float64{}}
	for _, k := range keys {
		if rapid.Bool().Draw(t, "has") {
			r.values[k] = rapid.SampledFrom([]float64{-1, 0, 2.5, math.Inf(1)}).Draw(t, "value")
		}
	}
	return r
}

// made is a catalog of all, made at once.
func made(all map[run.ID]result) *catalog.Catalog {
	ids := slices.Sorted(maps.Keys(all))
	entries := make([]catalog.Entry, len(ids))
	for i, id := range ids {
		entries[i] = all[id].entry
	}
	c := catalog.New(entries)
	for _, k := range keys {
		c = withColumn(c, all, k)
	}
	return c
}

func withColumn(c *catalog.Catalog, all map[run.ID]result, k catalog.Key) *catalog.Catalog {
	var values []catalog.Value
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if v, ok := all[id].values[k]; ok {
			values = append(values, catalog.Value{ID: id, Value: v})
		}
	}
	return c.WithColumn(k, values)
}

func drawnQuery(t *rapid.T) catalog.Query {
	q := catalog.Query{RunFilter: run.RunFilter{Projects: run.AllProjects(), Limit: rapid.IntRange(0, 8).Draw(t, "limit")}}
	var err error
	q.Order, err = run.ParseOrder(rapid.SampledFrom([]string{"", "created", "name", "-owner", "loss", "-loss", "metric:eval/loss:low", "-metric:eval/loss:low"}).Draw(t, "order"))
	if err != nil {
		t.Fatal(err)
	}
	if q.By = keys[0]; q.Order.By == "metric" {
		q.By = keys[1]
	}
	q.Folded = q.Order == run.Order{} && rapid.Bool().Draw(t, "folded")
	q.Archived = rapid.SampledFrom([]run.Archived{run.WithArchived, run.OnlyArchived}).Draw(t, "archived")
	q.Text = rapid.SampledFrom([]string{"", "o"}).Draw(t, "sought")
	q.Tags = rapid.SampledFrom([][]string{nil, {"x"}, {"x", "y"}}).Draw(t, "tags")
	q.States = rapid.SampledFrom([][]run.State{nil, {run.Failed}, {run.Failed, run.Queued}}).Draw(t, "states")
	return q
}

// TestACatalogThatFollowedChangesIsAsOneMadeAnew has runs come, change and go, in any order, and reads every page.
func TestACatalogThatFollowedChangesIsAsOneMadeAnew(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := map[run.ID]result{}
		c := made(all)
		for range rapid.IntRange(0, 6).Draw(t, "rounds") {
			var changes []catalog.Change
			for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(0, 3000), 0, 8, rapid.ID).Draw(t, "runs") {
				id := run.ID(fmt.Sprintf("r-%010d", n))
				if _, ok := all[id]; ok && rapid.Bool().Draw(t, "deleted") {
					delete(all, id)
					changes = append(changes, catalog.Change{ID: id})
					continue
				}
				r := drawn(t, id)
				all[id] = r
				changes = append(changes, catalog.Change{ID: id, Entry: &r.entry, Values: r.values})
			}
			changes = append(changes, catalog.Change{ID: "r-never-there"})
			slices.SortFunc(changes, func(a, b catalog.Change) int { return cmp.Compare(a.ID, b.ID) })
			before := c.Count(run.RunFilter{Projects: run.AllProjects()}).Total()
			next := c.With(changes)
			if after := c.Count(run.RunFilter{Projects: run.AllProjects()}).Total(); before != after {
				t.Fatalf("a catalog of %d runs has %d now", before, after)
			}
			c = next
		}
		want := made(all)
		for range 5 {
			q := drawnQuery(t)
			var pages []run.Position
			for {
				page := c.List(q)
				if fresh := want.List(q); !slices.Equal(page, fresh) {
					t.Fatalf("%+v:\n%v, want\n%v", q, page, fresh)
				}
				pages = append(pages, page...)
				if len(page) == 0 || len(page) < q.Limit {
					break
				}
				q.After = &page[len(page)-1]
			}
			whole := q
			if whole.After, whole.Limit = nil, len(all)+1; q.Limit > 0 && !slices.Equal(pages, want.List(whole)) {
				t.Fatalf("%+v: the pages have %v, the list %v", q, pages, want.List(whole))
			}
			if !maps.Equal(c.Count(q.RunFilter), want.Count(q.RunFilter)) {
				t.Fatalf("%+v: counts %v, want %v", q, c.Count(q.RunFilter), want.Count(q.RunFilter))
			}
		}
	})
}

func TestWhatHasNotBeenSortedByForLongestMakesRoom(t *testing.T) {
	t.Parallel()
	c := catalog.New([]catalog.Entry{{ID: "r-0000000001"}})
	key := func(i int) catalog.Key { return catalog.Key{Metric: fmt.Sprint(i), Of: "last"} }
	for i := range catalog.MaxColumns {
		c = c.WithColumn(key(i), nil)
	}
	if !c.Has(key(0)) {
		t.Error("the first has gone early")
	}
	c = c.WithColumn(key(-1), nil)
	if len(c.Columns()) != catalog.MaxColumns || !c.Has(key(0)) || c.Has(key(1)) || !c.Has(key(-1)) {
		t.Errorf("it has %v", c.Columns())
	}
}

func TestRunsUnderWayAreSortedByTheirValuesOfTheMoment(t *testing.T) {
	t.Parallel()
	c := catalog.New([]catalog.Entry{{ID: "r-0000000001"}, {ID: "r-0000000002"}, {ID: "r-0000000003"}, {ID: "r-0000000004"}})
	c = c.WithColumn(keys[0], []catalog.Value{{ID: "r-0000000002", Value: 5}})
	q := catalog.Query{RunFilter: run.RunFilter{Projects: run.AllProjects(), Limit: 9, Order: run.Order{By: "loss"}}, By: keys[0], Live: []catalog.Value{{ID: "r-0000000001", Value: 7}, {ID: "r-0000000009", Value: 1}}}
	want := []run.Position{{ID: "r-0000000001", Value: 7}, {ID: "r-0000000002", Value: 5}, {ID: "r-0000000004", None: true}, {ID: "r-0000000003", None: true}}
	for i, p := range c.List(q) {
		if p.None != want[i].None || p.ID != want[i].ID || !p.None && p != want[i] {
			t.Errorf("%d: %+v, want %+v", i, p, want[i])
		}
	}
}
