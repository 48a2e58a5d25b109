package storetest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

func template(name, config string) run.Template {
	return run.Template{
		Project: "default",
		Name:    name, Description: "d", Config: config, Shape: run.Shape{Nodes: 2}, Options: run.Options{Retries: 1, Env: map[string]string{"A": "1", "B": "2"}},
		Note: "n", Actor: "test", CreatedAt: epoch,
	}
}

func testTemplates(t *testing.T, s Store) {
	save := func(in run.Template) run.Template {
		t.Helper()
		out, err := s.SaveTemplate(t.Context(), in, run.AnyVersion)
		must(t, err)
		return out
	}
	first := save(template("Mine", "x = 1\n"))
	want := template("Mine", "x = 1\n")
	want.Version = 1
	same(t, "first version", first, want)
	again := template("Mine", "x = 1\n")
	again.Note, again.Actor = "another note", "another"
	same(t, "the same content", save(again), first)
	second := save(template("mINE", "x = 2\n"))
	if second.Version != 2 || second.Name != "Mine" {
		t.Errorf("second version is %+v", second)
	}
	back := save(template("mine", "x = 1\n")) // not the newest content, so a version of its own
	same(t, "third version", back.Version, 3)
	save(template("another", "y = 1\n"))
	list, err := s.Templates(t.Context(), run.AllProjects())
	must(t, err)
	if len(list) != 2 || list[0].Name != "another" || list[1].Version != 3 {
		t.Errorf("list is %+v", list)
	}
	for version, config := range map[int]string{0: "x = 1\n", 1: "x = 1\n", 2: "x = 2\n"} {
		got, err := s.Template(t.Context(), "default", "MINE", version)
		must(t, err)
		same(t, fmt.Sprintf("configuration of version %d", version), got.Config, config)
	}
	all, err := s.TemplateVersions(t.Context(), "default", "mine")
	must(t, err)
	if len(all) != 3 || all[0].Version != 3 || all[2].Version != 1 {
		t.Errorf("versions are %+v", all)
	}
	r := add(t, s, "r-0000000001", func(r *run.Run) { r.Origin.Template = first.Ref() })
	must(t, s.DeleteTemplate(t.Context(), "default", "mine"))
	for what, err := range map[string]error{
		"deleting twice": s.DeleteTemplate(t.Context(), "default", "mine"),
		"the newest":     errorOf(s.Template(t.Context(), "default", "Mine", 0)),
		"a version":      errorOf(s.Template(t.Context(), "default", "another", 9)),
		"the versions":   errorOf(s.TemplateVersions(t.Context(), "default", "Mine")),
	} {
		if !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	got, err := s.Run(t.Context(), r.ID)
	must(t, err)
	same(t, "a run made from it", got, r)
}

func errorOf[T any](_ T, err error) error { return err }

func testTemplatesAtOnce(t *testing.T, s Store) {
	const n = 20
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[int]bool{}
	for i := range n {
		wg.Go(func() {
			got, err := s.SaveTemplate(t.Context(), template("same", fmt.Sprintf("x = %d\n", i)), run.AnyVersion)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[got.Version] = true
		})
	}
	wg.Wait()
	all, err := s.TemplateVersions(t.Context(), "default", "same")
	must(t, err)
	if len(seen) != n || len(all) != n || all[0].Version != n {
		t.Errorf("%d versions were given, %d are stored, the newest is %d", len(seen), len(all), all[0].Version)
	}
}

// testTemplateFollows has many savers begin from the same version, again and again: one of each round may.
func testTemplateFollows(t *testing.T, s Store) {
	const savers = 16
	for newest := range 4 { // of 0 there is no template yet
		var wg sync.WaitGroup
		var mu sync.Mutex
		var stored []run.Template
		for i := range savers {
			wg.Go(func() {
				got, err := s.SaveTemplate(t.Context(), template("Mine", fmt.Sprintf("x = %d\ny = %d\n", newest, i)), newest)
				mu.Lock()
				defer mu.Unlock()
				var outdated *run.OutdatedError
				switch {
				case err == nil:
					stored = append(stored, got)
				case !errors.Is(err, fault.ErrConflict) || !errors.As(err, &outdated) || *outdated != run.OutdatedError{Template: "Mine", Expected: newest, Newest: newest + 1}:
					t.Errorf("one that lost got %v", err)
				}
			})
		}
		wg.Wait()
		all, err := s.TemplateVersions(t.Context(), "default", "mine")
		must(t, err)
		if len(stored) != 1 || len(all) != newest+1 {
			t.Fatalf("%d savers that follow version %d won, and there are %d versions", len(stored), newest, len(all))
		}
		same(t, "the newest", all[0], stored[0])
	}
	newest, err := s.Template(t.Context(), "default", "mine", 0)
	must(t, err)
	again, err := s.SaveTemplate(t.Context(), newest, newest.Version)
	must(t, err)
	same(t, "the same content, which makes no version", again, newest)
	for _, follows := range []int{0, 3, 5} { // even with the same content: what it was to follow is not there
		_, err := s.SaveTemplate(t.Context(), newest, follows)
		if want := (run.OutdatedError{Template: "Mine", Expected: follows, Newest: 4}); !errors.Is(err, fault.ErrConflict) || !strings.Contains(err.Error(), want.Error()) {
			t.Errorf("following version %d: %v", follows, err)
		}
	}
	if _, err := s.SaveTemplate(t.Context(), template("other", "x = 1\n"), 1); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("following a version of a template that is not there: %v", err)
	}
}

// sweepOf stores a sweep with n queued runs, whose IDs begin with its own's last character.
func sweepOf(t *testing.T, s Store, id run.SweepID, n int) (run.Sweep, []run.Run) {
	t.Helper()
	sw, runs, evs := newSweep(id, n)
	stored, created, err := s.CreateSweep(t.Context(), sw, "", runs, evs)
	if err != nil || !created {
		t.Fatalf("sweep %s: created %v, %v", id, created, err)
	}
	return stored, runs
}

func newSweep(id run.SweepID, n int) (run.Sweep, []run.Run, []run.Event) {
	sw := run.Sweep{
		Project: "default",
		ID:      id, Name: "sweep " + string(id), CreatedAt: epoch, Actor: "test", Fields: []string{"optim.optim.lr"},
		Spec: run.SweepSpec{Submission: run.Submission{Name: "s", Config: "x = 1\n", Shape: run.Shape{Nodes: 1}}, Parallel: 2, Grid: []run.Axis{{Field: "optim.optim.lr", Values: []string{"1", "2"}}}},
	}
	var runs []run.Run
	var evs []run.Event
	for i := range n {
		r := newRun(fmt.Sprintf("r-%s%09d", id[len(id)-1:], i), fmt.Sprintf("s #%d", i+1))
		r.Origin = run.Origin{Sweep: id, Point: map[string]string{"optim.optim.lr": fmt.Sprint(i)}}
		runs = append(runs, r)
		evs = append(evs, run.Event{RunID: r.ID, At: epoch, Kind: "state", To: run.Queued, Rank: -1})
	}
	return sw, runs, evs
}

func testSweep(t *testing.T, s Store) {
	sw, runs, evs := newSweep("s-0000000001", 3)
	first, created, err := s.CreateSweep(t.Context(), sw, "k", runs, evs)
	must(t, err)
	sw.Counts = map[run.State]int{run.Queued: 3}
	same(t, "stored sweep", first, sw)
	got, err := s.Sweep(t.Context(), sw.ID)
	must(t, err)
	same(t, "sweep", got, sw)
	list, err := s.Runs(t.Context(), run.RunFilter{Projects: run.AllProjects(), Sweep: sw.ID, Limit: 10})
	must(t, err)
	if !created || len(list) != 3 || list[2].Name != "s #1" || list[2].Attempt != 0 || list[2].Origin.Sweep != sw.ID {
		t.Errorf("created %v, runs %+v", created, list)
	}
	history, err := s.Events(t.Context(), runs[1].ID, 0, 10)
	must(t, err)
	same(t, "events of a run", len(history), 1)
	other, moreRuns, moreEvs := newSweep("s-0000000002", 2)
	again, created, err := s.CreateSweep(t.Context(), other, "k", moreRuns, moreEvs)
	must(t, err)
	if created || again.ID != sw.ID || again.Counts[run.Queued] != 3 {
		t.Errorf("a repeated key: created %v, %+v", created, again)
	}
	if n, err := s.CountRuns(t.Context(), run.RunFilter{Projects: run.AllProjects(), Text: ""}); err != nil || n[run.Queued] != 3 {
		t.Errorf("runs after a repeated key: %v, %v", n, err)
	}
}

func testSweepFails(t *testing.T, s Store) {
	add(t, s, "r-1000000002", func(*run.Run) {}) // the ID of the third
	sw, runs, evs := newSweep("s-0000000001", 4)
	if _, _, err := s.CreateSweep(t.Context(), sw, "k", runs, evs); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Sweep(t.Context(), sw.ID); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("the sweep is there: %v", err)
	}
	if n, err := s.CountRuns(t.Context(), run.RunFilter{Projects: run.AllProjects(), Text: ""}); err != nil || n[run.Queued] != 1 {
		t.Errorf("runs are %v, %v", n, err)
	}
}

func testSweeps(t *testing.T, s Store) {
	for i := range 5 {
		sweepOf(t, s, run.SweepID(fmt.Sprintf("s-000000000%d", i)), i)
	}
	ids := func(before run.SweepID, limit int) string {
		t.Helper()
		list, err := s.Sweeps(t.Context(), run.AllProjects(), before, limit)
		must(t, err)
		out := ""
		for _, sw := range list {
			out += fmt.Sprintf("%s:%d ", sw.ID[len(sw.ID)-1:], sw.Counts[run.Queued])
		}
		return out
	}
	same(t, "the newest", ids("", 3), "4:4 3:3 2:2 ")
	same(t, "those before", ids("s-0000000002", 3), "1:1 0:0 ")
}

func testBestRun(t *testing.T, s Store) {
	sw, runs := sweepOf(t, s, "s-0000000001", 5)
	_, others := sweepOf(t, s, "s-0000000002", 1)
	if _, err := s.BestRun(t.Context(), sw.ID); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("before any loss: %v", err)
	}
	for i, loss := range []float64{math.NaN(), math.Inf(-1), 2.5, 2.5} { // the last has none
		must(t, s.SaveProgress(t.Context(), runs[i].ID, run.Progress{Step: 1, Loss: loss, HasLoss: true}))
	}
	must(t, s.SaveProgress(t.Context(), others[0].ID, run.Progress{Step: 1, Loss: 1, HasLoss: true}))
	best, err := s.BestRun(t.Context(), sw.ID)
	must(t, err)
	same(t, "the first of equal ones", best.ID, runs[2].ID)
}

func testStopSweep(t *testing.T, s Store) {
	sw, runs := sweepOf(t, s, "s-0000000001", 3)
	_, others := sweepOf(t, s, "s-0000000002", 1)
	_, err := s.Update(t.Context(), runs[0].ID, func(u *store.Update) error {
		_, err := u.Run.Transition(run.Failed, "test", "", epoch)
		return err
	})
	must(t, err)
	us, err := s.StopSweep(t.Context(), sw.ID, func(u *store.Update) error {
		ev, err := u.Run.Transition(run.Stopped, "test", "all", epoch)
		u.Events = append(u.Events, *ev)
		return err
	})
	must(t, err)
	if len(us) != 2 || us[0].Run.ID != runs[1].ID || us[1].Events[0].Seq == 0 {
		t.Errorf("changed %+v", us)
	}
	got, err := s.Sweep(t.Context(), sw.ID)
	must(t, err)
	if !got.Stopped || got.Counts[run.Stopped] != 2 || got.Counts[run.Failed] != 1 {
		t.Errorf("sweep is %+v", got)
	}
	if r, err := s.Run(t.Context(), others[0].ID); err != nil || r.State != run.Queued {
		t.Errorf("another sweep's run is %s, %v", r.State, err)
	}
	boom := errors.New("boom")
	if _, err := s.StopSweep(t.Context(), "s-0000000002", func(*store.Update) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	if other, err := s.Sweep(t.Context(), "s-0000000002"); err != nil || other.Stopped {
		t.Errorf("a stop that failed left %+v, %v", other, err)
	}
	if _, err := s.StopSweep(t.Context(), "s-0000000009", nil); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("stopping nothing gave %v", err)
	}
}

func testDeleteSweep(t *testing.T, s Store) {
	sw, runs := sweepOf(t, s, "s-0000000001", 1)
	if err := s.DeleteSweep(t.Context(), sw.ID); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("with runs: %v", err)
	}
	must(t, s.DeleteRun(t.Context(), runs[0].ID))
	must(t, s.DeleteSweep(t.Context(), sw.ID))
	if err := s.DeleteSweep(t.Context(), sw.ID); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("twice: %v", err)
	}
}
