package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

func createProjects(t *testing.T, s Store, names ...string) {
	t.Helper()
	for _, name := range names {
		must(t, s.CreateProject(t.Context(), access.Project{Name: name}))
	}
}

// testProjects compares lists and counts with a simple model, for every filter: what another project owns is not found.
func testProjects(t *testing.T, s Store) {
	names, owners := []string{"default", "vision", "speech"}, []string{"ann", "bob"}
	states := []run.State{run.Queued, run.Running, run.Failed}
	createProjects(t, s, names[1:]...)
	var all []run.Run // newest first
	for i := range 24 {
		r := newRun(fmt.Sprintf("r-00000000%02d", i), fmt.Sprintf("llama-%d", i%4))
		r.Project, r.Owner, r.State = names[i%5%3], owners[i%7%2], states[i%3]
		if i%4 == 0 {
			r.Origin.Sweep = run.SweepID(fmt.Sprintf("s-%05d%05d", i%5%3, i%7%2)) // of one project and one owner
		}
		_, created, err := s.CreateRun(t.Context(), r, "")
		must(t, err)
		if !created {
			t.Fatal(r.ID)
		}
		all = slices.Insert(all, 0, r)
	}
	rapid.Check(t, func(t *rapid.T) {
		f := run.RunFilter{
			Projects: run.Projects{All: rapid.Bool().Draw(t, "all"), Names: rapid.SliceOfN(rapid.SampledFrom(append(names, "nobody's")), 0, 3).Draw(t, "projects")},
			Owner:    rapid.SampledFrom(append(owners, "", "carol")).Draw(t, "owner"), Text: rapid.SampledFrom([]string{"", "llama", "llama-2", "x"}).Draw(t, "text"),
			States: rapid.SliceOfN(rapid.SampledFrom(states), 0, 2).Draw(t, "states"), Limit: rapid.IntRange(1, 30).Draw(t, "limit"),
			Folded: rapid.Bool().Draw(t, "folded"),
		}
		var want, got []run.ID
		counts, folded := run.Counts{}, map[run.SweepID]bool{}
		for _, r := range all {
			if !f.Projects.Include(r.Project) || f.Owner != "" && r.Owner != f.Owner || !has(r, f.Text) {
				continue
			}
			counts[r.State]++
			if len(f.States) > 0 && !slices.Contains(f.States, r.State) || folded[r.Origin.Sweep] {
				continue
			}
			folded[r.Origin.Sweep] = f.Folded && r.Origin.Sweep != ""
			want = append(want, r.ID)
		}
		for page := f; ; page.Before = got[len(got)-1] {
			runs, err := s.Runs(t.Context(), page)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range runs {
				got = append(got, r.ID)
			}
			if len(runs) < f.Limit {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%+v: %v, want %v", f, got, want)
		}
		if found, err := s.CountRuns(t.Context(), f); err != nil || fmt.Sprint(found) != fmt.Sprint(counts) {
			t.Fatalf("counts of %+v: %v, %v, want %v", f, found, err, counts)
		}
	})
	if runs, err := s.Runs(t.Context(), run.RunFilter{Limit: 9}); err != nil || len(runs) != 0 {
		t.Errorf("a filter without projects finds %d runs, %v", len(runs), err)
	}
}

// testProjectsNames has the same names and keys in two projects.
func testProjectsNames(t *testing.T, s Store) {
	createProjects(t, s, "vision")
	for i, project := range []string{"default", "vision"} {
		r := newRun(fmt.Sprintf("r-000000000%d", i), "a")
		r.Project = project
		stored, created, err := s.CreateRun(t.Context(), r, "key")
		must(t, err)
		sw := run.Sweep{ID: run.SweepID(fmt.Sprintf("s-000000000%d", i)), Project: project, Name: project}
		_, fresh, err := s.CreateSweep(t.Context(), sw, "key", nil, nil)
		must(t, err)
		tpl, err := s.SaveTemplate(t.Context(), run.Template{Project: project, Name: "Mine", Config: project}, 0)
		must(t, err)
		if !created || !fresh || stored.Project != project || tpl.Version != 1 {
			t.Errorf("%s: run created %v, sweep %v, template %+v", project, created, fresh, tpl)
		}
		byKey, err := s.RunByKey(t.Context(), project, "key")
		must(t, err)
		swept, err := s.SweepByKey(t.Context(), project, "key")
		must(t, err)
		found, err := s.Template(t.Context(), project, "mine", 0)
		must(t, err)
		same(t, project, []any{byKey.ID, swept.ID, found.Config}, []any{r.ID, sw.ID, project})
		list, err := s.Sweeps(t.Context(), run.InProjects(project, project), "", 9)
		must(t, err)
		own, err := s.Templates(t.Context(), run.InProjects(project, project))
		must(t, err)
		if len(list) != 1 || list[0].ID != sw.ID || len(own) != 1 || own[0].Project != project {
			t.Errorf("of %s: %+v, %+v", project, list, own)
		}
	}
	list, err := s.Sweeps(t.Context(), run.InProjects("vision", "default", "other"), "", 9)
	must(t, err)
	own, err := s.Templates(t.Context(), run.AllProjects())
	must(t, err)
	if len(list) != 2 || list[0].Project != "vision" || len(own) != 2 {
		t.Errorf("all: %+v, %+v", list, own)
	}
	for what, err := range map[string]error{
		"the key": errorOf(s.RunByKey(t.Context(), "other", "key")), "the sweep's key": errorOf(s.SweepByKey(t.Context(), "other", "key")),
		"a template": errorOf(s.Template(t.Context(), "other", "mine", 1)), "versions": errorOf(s.TemplateVersions(t.Context(), "other", "mine")),
		"deleting": s.DeleteTemplate(t.Context(), "other", "mine"),
	} {
		if !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("%s in another project: %v", what, err)
		}
	}
	must(t, s.DeleteTemplate(t.Context(), "vision", "MINE"))
	if left, err := s.Template(t.Context(), "default", "mine", 0); err != nil || left.Project != "default" {
		t.Errorf("the other project's: %+v, %v", left, err)
	}
	if none, err := s.Sweeps(t.Context(), run.Projects{}, "", 9); err != nil || len(none) != 0 {
		t.Errorf("sweeps of no project: %v, %v", none, err)
	}
	if none, err := s.Templates(t.Context(), run.Projects{}); err != nil || len(none) != 0 {
		t.Errorf("templates of no project: %v, %v", none, err)
	}
}

// testQueueOfProjects has runs of two projects wait behind each other.
func testQueueOfProjects(t *testing.T, s Store) {
	createProjects(t, s, "vision")
	var runs []run.Run
	for i, project := range []string{"default", "vision", "default"} {
		r := newRun(fmt.Sprintf("r-000000000%d", i), "secret "+project)
		r.Project = project
		_, _, err := s.CreateRun(t.Context(), r, "")
		must(t, err)
		runs = append(runs, r)
	}
	must(t, s.SetQueuePlaces(t.Context(), runs))
	same(t, "places", []string{runs[0].QueuePlace.String(), runs[1].QueuePlace.String(), runs[2].QueuePlace.String()}, []string{
		"First in the queue", "2nd in the queue, behind " + run.OfAnotherProject, "3rd in the queue, behind secret default (r-0000000000), " + run.OfAnotherProject,
	})
}
