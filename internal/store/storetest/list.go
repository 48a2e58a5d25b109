package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// modelled is a run of [Lists] and what it is found and sorted by.
type modelled struct {
	run.Run
	nodes  []string
	values map[string]float64 // by the key of an order
}

// Lists compares lists, page by page, and counts with a simple model, for every filter and order together.
func Lists(t *testing.T, s Store) {
	createProjects(t, s, "vision")
	var all []modelled
	for i := range 40 {
		all = append(all, modelledRun(t, s, i))
	}
	rapid.Check(t, func(t *rapid.T) {
		f := drawnFilter(t)
		order := []string{"", "created", "name", "-name", "owner", "-project", "model", "step", "-step", "loss", "-loss", "-throughput", "duration", "-ended"}
		var err error
		if f.Order, err = run.ParseOrder(rapid.SampledFrom(order).Draw(t, "order")); err != nil {
			t.Fatal(err)
		}
		want := modelOf(all, f)
		counts := run.Counts{}
		for _, m := range modelOf(all, withoutStates(f)) {
			counts[m.State]++
		}
		var got []run.ID
		for cursor := ""; ; {
			page, err := s.ListRuns(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page.Runs {
				got = append(got, r.ID)
			}
			if len(page.Runs) > f.Limit || (len(page.Runs) < f.Limit) && page.Next != "" || page.Next == cursor && cursor != "" {
				t.Fatalf("%+v: %d runs, then %q", f, len(page.Runs), page.Next)
			}
			if cursor = page.Next; cursor == "" {
				break
			}
			at, err := f.Order.ParseCursor(cursor)
			if err != nil {
				t.Fatal(err)
			}
			f.After = &at
		}
		ids := make([]run.ID, len(want))
		for i, m := range want {
			ids[i] = m.ID
		}
		if !slices.Equal(got, ids) {
			t.Fatalf("%s of %+v:\n%v, want\n%v", f.Order, f, got, ids)
		}
		if found, err := s.CountRuns(t.Context(), f); err != nil || fmt.Sprint(found) != fmt.Sprint(counts) {
			t.Fatalf("counts of %+v: %v, %v, want %v", f, found, err, counts)
		}
	})
}

func withoutStates(f run.RunFilter) run.RunFilter {
	f.States = nil
	return f
}

func drawnFilter(t *rapid.T) run.RunFilter {
	day := func(name string) time.Time {
		if n := rapid.IntRange(-10, 30).Draw(t, name); n > 0 {
			return epoch.Add(time.Duration(n) * time.Hour)
		}
		return time.Time{}
	}
	return run.RunFilter{
		Projects: run.Projects{All: rapid.Bool().Draw(t, "all"), Names: rapid.SliceOfN(rapid.SampledFrom([]string{"default", "vision"}), 1, 2).Draw(t, "projects")},
		Owner:    rapid.SampledFrom([]string{"", "", "ann", "bob"}).Draw(t, "owner"), Text: rapid.SampledFrom([]string{"", "", "", "llama", "wide", "x"}).Draw(t, "text"),
		States: rapid.SliceOfN(rapid.SampledFrom([]run.State{run.Queued, run.Running, run.Failed, run.Succeeded}), 0, 2).Draw(t, "states"),
		Tags:   rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"wide", "paper", "none"}), 0, 2, rapid.ID).Draw(t, "tags"),
		Model:  rapid.SampledFrom([]string{"", "", "debug", "7b"}).Draw(t, "model"), Node: rapid.SampledFrom([]string{"", "", "gpu-1", "gpu-2"}).Draw(t, "node"),
		Since: day("since"), Until: day("until"), Archived: rapid.SampledFrom([]run.Archived{run.WithArchived, run.WithoutArchived, run.OnlyArchived}).Draw(t, "archived"),
		Limit: rapid.IntRange(1, 30).Draw(t, "limit"),
	}
}

// modelledRun stores a run as people and trainers make them.
func modelledRun(t *testing.T, s Store, i int) modelled {
	created := epoch.Add(time.Duration(i) * 45 * time.Minute)
	r := newRun(string(run.FirstID(created)), fmt.Sprintf("Llama-%d", i%7))
	if i%2 == 0 {
		r.Name = fmt.Sprintf("llama-%d", i%5)
	}
	r.CreatedAt, r.Project, r.Owner, r.Preset = created, []string{"default", "vision"}[i%5%2], []string{"ann", "bob"}[i%3%2], []string{"debug", "7b"}[i%7%2]
	_, _, err := s.CreateRun(t.Context(), r, "")
	must(t, err)
	m := modelled{values: map[string]float64{}}
	state := []run.State{run.Queued, run.Running, run.Failed, run.Succeeded, run.Succeeded}[i%5]
	if state == run.Queued {
		m.Run = r
		return m
	}
	m.nodes = []string{fmt.Sprintf("gpu-%d", 1+i%3), "gpu-1"}
	u, err := s.Update(t.Context(), r.ID, func(u *store.Update) error {
		u.Run.Attempt, u.Attempt.Number = 1, 1
		for rank, node := range m.nodes {
			u.Workers = append(u.Workers, run.Worker{AllocID: fmt.Sprint(r.ID, rank), RunID: r.ID, Attempt: 1, Rank: rank, NodeName: node})
		}
		u.Run.State, u.Run.StartedAt = run.Running, time.Now().Add(-time.Duration(i)*time.Hour)
		return nil
	})
	must(t, err)
	if i%4 != 0 {
		p := run.Progress{Step: int64(i % 6), Loss: float64(i % 4), HasLoss: i%3 != 0, TokensPerSec: float64(i % 2), UpdatedAt: epoch}
		must(t, s.SaveProgress(t.Context(), r.ID, p))
		m.values["step"] = float64(p.Step)
		if p.HasLoss {
			m.values["loss"] = p.Loss
		}
		if p.TokensPerSec > 0 {
			m.values["throughput"] = p.TokensPerSec
		}
	}
	m.values["duration"] = float64(i)*3600 + 1 // and growing
	if state != run.Running {
		u, err = s.Update(t.Context(), r.ID, func(u *store.Update) error {
			u.Run.State, u.Run.EndedAt = state, u.Run.StartedAt.Add(time.Duration(i%8)*time.Hour)
			return nil
		})
		must(t, err)
		m.values["duration"], m.values["ended"] = float64(i%8)*3600, float64(u.Run.EndedAt.UnixMilli())
	}
	yes := i%11 == 3
	u, err = s.Update(t.Context(), r.ID, func(u *store.Update) error {
		e := run.Edit{Tag: []string{"wide", "paper"}[:i%3]}
		if u.Run.State.Terminal() {
			e.Archived = &yes
		}
		return e.Apply(&u.Run)
	})
	must(t, err)
	m.Run = u.Run
	return m
}

// modelOf is what matches, in order.
func modelOf(all []modelled, f run.RunFilter) (out []modelled) {
	for _, m := range all {
		tagged := !slices.ContainsFunc(f.Tags, func(tag string) bool { return !slices.Contains(m.Options.Tags, tag) })
		if f.Projects.Include(m.Project) && (f.Owner == "" || m.Owner == f.Owner) && has(m.Run, f.Text) && (len(f.States) == 0 || slices.Contains(f.States, m.State)) && tagged &&
			(f.Model == "" || m.Preset == f.Model) && (f.Node == "" || slices.Contains(m.nodes, f.Node)) && !m.CreatedAt.Before(f.Since) && (f.Until.IsZero() || m.CreatedAt.Before(f.Until)) &&
			(f.Archived == run.WithArchived || m.Archived == (f.Archived == run.OnlyArchived)) {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b modelled) int { return f.Order.Compare(positionOf(a, f.Order), positionOf(b, f.Order)) })
	return out
}

func positionOf(m modelled, o run.Order) run.Position {
	p := run.Position{ID: m.ID}
	switch o.By {
	case "":
	case "name":
		p.Text = lower(m.Name)
	case "project":
		p.Text = m.Project
	case "owner":
		p.Text = m.Owner
	case "model":
		p.Text = m.Preset
	default:
		v, ok := m.values[o.By]
		p.Value, p.None = v, !ok
	}
	return p
}

// lower is as databases have it.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// testEdits changes what people add to a run.
func testEdits(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	edit := func(e run.Edit) run.Run {
		t.Helper()
		_, err := s.Update(t.Context(), id, func(u *store.Update) error { return e.Apply(&u.Run) })
		must(t, err)
		r, err := s.Run(t.Context(), id)
		must(t, err)
		return r
	}
	finds := func(want int, f run.RunFilter) {
		t.Helper()
		f.Projects, f.Limit = run.AllProjects(), 9
		if runs, err := s.Runs(t.Context(), f); err != nil || len(runs) != want {
			t.Errorf("%+v finds %d, %v", f, len(runs), err)
		}
	}
	note := "why\nit stopped"
	r := edit(run.Edit{Tag: []string{"zeta", "alpha", "zeta"}, Note: &note})
	same(t, "tags", r.Options.Tags, []string{"alpha", "zeta"})
	same(t, "note", r.Note, note)
	finds(1, run.RunFilter{Text: "zeta"})
	finds(1, run.RunFilter{Tags: []string{"alpha", "zeta"}})
	r = edit(run.Edit{Untag: []string{"zeta"}, Tag: []string{"new"}})
	same(t, "tags", r.Options.Tags, []string{"alpha", "new"})
	finds(0, run.RunFilter{Text: "zeta"})
	finds(0, run.RunFilter{Tags: []string{"zeta"}})
	finds(1, run.RunFilter{Text: "new"})
	r = edit(run.EditTags([]string{"alpha", "new"}, nil))
	same(t, "tags", cmp.Or(len(r.Options.Tags), 0), 0)
	finds(0, run.RunFilter{Tags: []string{"new"}})
	must(t, s.DeleteRun(t.Context(), id))
	finds(0, run.RunFilter{})
}
