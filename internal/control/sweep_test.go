package control_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

func grid() run.SweepSpec {
	s := submission()
	s.Config, s.Name = saving, " rates "
	return run.SweepSpec{Submission: s, Parallel: 2, Grid: []run.Axis{
		{Field: "optim.optim.lr", Values: []string{"1e-4", "0.0003"}}, {Field: "nodes", Values: []string{"2", "3"}},
	}}
}

// runsOf returns a sweep's runs in the order of its points.
func (r *rig) runsOf(t *testing.T, id run.SweepID) []run.Run {
	t.Helper()
	runs, err := r.store.Runs(t.Context(), run.RunFilter{Projects: run.AllProjects(), Sweep: id, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(runs)
	return runs
}

func TestASweepMakesARunOfEveryPoint(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	sub := r.hub.Subscribe(map[string]int64{feed.RunsTopic: -1})
	defer sub.Close()
	sw, err := r.control.SubmitSweep(t.Context(), "me", grid())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.ParseSweepID(string(sw.ID)); err != nil || sw.Name != "rates" || sw.Actor != "me" || sw.Counts[run.Queued] != 4 ||
		!reflect.DeepEqual(sw.Fields, []string{"optim.optim.lr", "nodes"}) {
		t.Errorf("sweep is %+v, %v", sw, err)
	}
	runs := r.runsOf(t, sw.ID)
	var got []string
	for _, one := range runs {
		got = append(got, fmt.Sprintf("%s: %s on %s", one.Name, one.Origin.Point["optim.optim.lr"], one.Origin.Point["nodes"]))
		if one.State != run.Queued || one.Attempt != 0 || one.Shape.Nodes != int(one.Origin.Point["nodes"][0]-'0') || one.StepsTotal != 20 ||
			one.CheckpointPath != "models/checkpoints/"+string(one.ID) || !strings.Contains(one.Config, "lr = "+one.Origin.Point["optim.optim.lr"]) {
			t.Errorf("run is %+v", one)
		}
		evs, err := r.store.Events(t.Context(), one.ID, 0, 10)
		if err != nil || len(evs) != 1 || !strings.Contains(evs[0].Message, "optim.optim.lr = ") || evs[0].Actor != "me" {
			t.Errorf("events %+v, %v", evs, err)
		}
	}
	if fmt.Sprint(got) != "[rates #1: 0.0001 on 2 rates #2: 0.0001 on 3 rates #3: 0.0003 on 2 rates #4: 0.0003 on 3]" {
		t.Errorf("runs are %v", got)
	}
	if len(r.cluster.Jobs()) != 0 {
		t.Errorf("they were sent before the queue saw them: %v", r.cluster.Jobs())
	}
	if ms, err := sub.Next(t.Context()); err != nil || len(ms) != 1 || ms[0].Type != feed.Gap {
		t.Errorf("viewers of the list got %v, %v", ms, err)
	}
	stored, err := r.control.Sweep(t.Context(), sw.ID)
	if err != nil || stored.Spec.Parallel != 2 || stored.Spec.Config != saving || len(stored.Spec.Points()) != 4 {
		t.Errorf("stored as %+v, %v", stored, err)
	}
	if list, err := r.control.Sweeps(t.Context(), run.AllProjects(), "", 10); err != nil || len(list) != 1 || list[0].ID != sw.ID {
		t.Errorf("list is %+v, %v", list, err)
	}
}

func TestASweepByListLeavesOutWhatAPointDoesNotSay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := grid()
	s.Grid = nil
	s.List = []map[string]string{{"optim.optim.lr": "1e-3"}, {"optim.optim.lr": "1e-3", "optim.batch_size": "32"}, {"tags": "b,a"}}
	sw, err := r.control.SubmitSweep(t.Context(), "me", s)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(sw.Fields, []string{"optim.batch_size", "optim.optim.lr", "tags"}) {
		t.Errorf("fields are %v", sw.Fields)
	}
	want := []map[string]string{
		{"optim.optim.lr": "0.001", "optim.batch_size": "16", "tags": ""}, {"optim.optim.lr": "0.001", "optim.batch_size": "32", "tags": ""},
		{"optim.optim.lr": "0.0004", "optim.batch_size": "16", "tags": "a,b"},
	}
	var got []map[string]string
	for _, one := range r.runsOf(t, sw.ID) {
		got = append(got, one.Origin.Point)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("points are %v, want %v", got, want)
	}
}

func TestEveryPointOfASweepIsCheckedBeforeAnythingIsStored(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	axis := func(field string, values ...string) run.Axis { return run.Axis{Field: field, Values: values} }
	many := make([]string, 25)
	for i := range many {
		many[i] = fmt.Sprint(i + 1)
	}
	for _, tc := range []struct {
		name   string
		change func(*run.SweepSpec)
		field  string
		rule   string
	}{
		{"neither grid nor list", func(s *run.SweepSpec) { s.Grid = nil }, "grid", "at least one field"},
		{"both", func(s *run.SweepSpec) { s.List = []map[string]string{{"nodes": "1"}} }, "grid", "together with list"},
		{"one point", func(s *run.SweepSpec) { s.Grid = []run.Axis{axis("nodes", "2")} }, "grid", "must make 2 to 500 runs"},
		{"one point in a list", func(s *run.SweepSpec) { s.Grid, s.List = nil, []map[string]string{{"nodes": "1"}} }, "list", "must make 2 to 500 runs"},
		{"too many points", func(s *run.SweepSpec) {
			s.Grid = []run.Axis{axis("nodes", many...), axis("optim.total_steps", many...)}
		}, "grid", "must make 2 to 500 runs"},
		{"a field that does not exist", func(s *run.SweepSpec) { s.Grid[0].Field = "optim.lr" }, "optim.lr", "point 1 (nodes = 2, optim.lr = 1e-4): is not a"},
		{"a value out of range", func(s *run.SweepSpec) { s.Grid[0].Values[1] = "-5" }, "optim.optim.lr", "point 3 (nodes = 2, optim.optim.lr = -5): "},
		{"a rule between fields", func(s *run.SweepSpec) { s.Grid[1] = axis("train.micro_bs", "8", "7") }, "optim.batch_size", "point 2 (optim.optim.lr = 1e-4, train.micro_bs = 7): "},
		{"an axis twice", func(s *run.SweepSpec) { s.Grid[1].Field = "optim.optim.lr" }, "optim.optim.lr", "varied twice"},
		{"an axis without values", func(s *run.SweepSpec) { s.Grid[1].Values = nil }, "nodes", "no values"},
		{"a point twice", func(s *run.SweepSpec) { s.Grid[0].Values[1] = "0.0001" }, "optim.optim.lr", "point 3 (nodes = 2, optim.optim.lr = 0.0001): is the same as point 1"},
		{"the name", func(s *run.SweepSpec) { s.Grid[0] = axis("name", "a", "b") }, "name", "cannot be varied"},
		{"an empty point", func(s *run.SweepSpec) { s.Grid, s.List = nil, []map[string]string{{}, {"nodes": "1"}} }, "list", "must set 1 to"},
		{"a negative limit", func(s *run.SweepSpec) { s.Parallel = -1 }, "parallel", "from 0 to 500"},
		{"a base that cannot be read", func(s *run.SweepSpec) { s.Config = "[[[" }, "config", ""},
		{"a long name", func(s *run.SweepSpec) { s.Name = strings.Repeat("x", 99) }, "name", "at most 100"},
		{"a long key", func(s *run.SweepSpec) { s.Key = strings.Repeat("k", 201) }, "key", "at most 200"},
		{"one folder for all", func(s *run.SweepSpec) { s.Config = strings.Replace(saving, "{run}\"", "mine\"", 1) }, "ckpt.path", "overwrite each other"},
	} {
		s := grid()
		tc.change(&s)
		_, err := r.control.SubmitSweep(t.Context(), "me", s)
		var fes run.FieldErrors
		if !errors.As(err, &fes) {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		found := false
		for _, fe := range fes {
			found = found || fe.Field == tc.field && strings.Contains(fe.Rule, tc.rule)
		}
		if !found || len(fes) > 20 {
			t.Errorf("%s: %d errors:\n%v", tc.name, len(fes), err)
		}
	}
	if n, err := r.store.CountRuns(t.Context(), run.RunFilter{Projects: run.AllProjects(), Text: ""}); err != nil || len(n) != 0 {
		t.Errorf("runs were stored: %v, %v", n, err)
	}
	if list, err := r.control.Sweeps(t.Context(), run.AllProjects(), "", 10); err != nil || len(list) != 0 {
		t.Errorf("sweeps were stored: %v, %v", list, err)
	}
}

func TestASweepWithARepeatedKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := grid()
	s.Key = "k"
	first, err := r.control.SubmitSweep(t.Context(), "me", s)
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.control.SubmitSweep(t.Context(), "me", s)
	if err != nil || again.ID != first.ID || again.Counts[run.Queued] != 4 {
		t.Errorf("again is %+v, %v", again, err)
	}
	s.Parallel = 3
	if _, err := r.control.SubmitSweep(t.Context(), "me", s); !errors.Is(err, fault.ErrConflict) || !strings.Contains(fault.Of(err).Text(), "which was submitted with other settings. Use a new key") {
		t.Errorf("with other settings: %v", err)
	}
	if n := len(r.runsOf(t, first.ID)); n != 4 {
		t.Errorf("there are %d runs", n)
	}
}

func TestTheLargestSweepKeepsItsOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := grid()
	var steps []string
	for i := range run.MaxSweepRuns {
		steps = append(steps, fmt.Sprint(100+5*i))
	}
	s.Grid = []run.Axis{{Field: "optim.total_steps", Values: steps}}
	sw, err := r.control.SubmitSweep(t.Context(), "me", s)
	if err != nil {
		t.Fatal(err)
	}
	runs := r.runsOf(t, sw.ID)
	for i, one := range runs {
		if one.Name != fmt.Sprintf("rates #%d", i+1) {
			t.Fatalf("run %d is %q", i+1, one.Name)
		}
	}
	if len(runs) != run.MaxSweepRuns {
		t.Errorf("%d runs", len(runs))
	}
}

func TestSweepsOfOneMomentShareNoMillisecondOfTheirIDs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))) // IDs count from 2025
		r, taken := newRig(t), map[int64]run.ID{}
		for range 3 {
			sw, err := r.control.SubmitSweep(t.Context(), "me", grid())
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range r.runsOf(t, sw.ID) {
				n, err := one.ID.Number()
				if err != nil || taken[n>>10] != "" {
					t.Errorf("%s and %s may collide, %v", one.ID, taken[n>>10], err)
				}
				taken[n>>10] = one.ID
			}
		}
	})
}

func TestStoppingASweepStopsAllItsRuns(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	sw, err := r.control.SubmitSweep(t.Context(), "me", grid())
	if err != nil {
		t.Fatal(err)
	}
	runs := r.runsOf(t, sw.ID)
	if err := r.queue.Send(t.Context(), runs[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := r.control.DeleteSweep(t.Context(), "me", sw.ID); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("deleting a live one: %v", err)
	}
	sub := r.hub.Subscribe(map[string]int64{feed.SweepTopic(sw.ID): -1})
	defer sub.Close()
	for range 2 {
		if err := r.control.StopSweep(t.Context(), "me", sw.ID); err != nil {
			t.Fatal(err)
		}
	}
	got, err := r.control.Sweep(t.Context(), sw.ID)
	if err != nil || !got.Stopped || got.Counts[run.Stopped] != 3 || got.Counts[run.Stopping] != 1 {
		t.Errorf("it is %+v, %v", got, err)
	}
	if !slices.Contains(r.looked, runs[0].ID) {
		t.Errorf("nobody was told of the live run: %v", r.looked)
	}
	if ms, err := sub.Next(t.Context()); err != nil || len(ms) < 4 {
		t.Errorf("viewers of the sweep got %v, %v", ms, err)
	}
	finish(t, r, runs[0].ID)
	if err := r.control.StopSweep(t.Context(), "me", sw.ID); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("stopping an ended one: %v", err)
	}
	if err := r.control.DeleteSweep(t.Context(), "me", sw.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := r.control.Sweep(t.Context(), sw.ID); !errors.Is(err, fault.ErrNotFound) || len(r.runsOf(t, sw.ID)) != 0 {
		t.Errorf("it is still there: %v", err)
	}
	orders, err := r.store.Orders(t.Context())
	if err != nil || len(orders) != 1 || orders[0].JobID != r.cluster.Jobs()[0] || !orders[0].Purge {
		t.Errorf("orders %+v, %v, jobs %v", orders, err, r.cluster.Jobs())
	}
	for what, err := range map[string]error{"stop": r.control.StopSweep(t.Context(), "me", sw.ID), "delete": r.control.DeleteSweep(t.Context(), "me", sw.ID)} {
		if !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("%s of nothing: %v", what, err)
		}
	}
}

func TestARunOfASweepCanBeDeletedAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	sw, err := r.control.SubmitSweep(t.Context(), "me", grid())
	if err != nil {
		t.Fatal(err)
	}
	one := r.runsOf(t, sw.ID)[1]
	if err := r.control.Stop(t.Context(), "me", one.ID); err != nil {
		t.Fatal(err)
	}
	if err := r.control.Delete(t.Context(), "me", one.ID); err != nil {
		t.Fatal(err)
	}
	if got, err := r.control.Sweep(t.Context(), sw.ID); err != nil || got.Counts[run.Queued] != 3 || got.Stopped {
		t.Errorf("the sweep is %+v, %v", got, err)
	}
}

// TestAKillWhileASweepIsStopped stops it in the store only, as when the console is killed before it told anybody.
func TestAKillWhileASweepIsStopped(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	sw, err := r.control.SubmitSweep(t.Context(), "me", grid())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.store.StopSweep(t.Context(), sw.ID, func(u *store.Update) error {
		_, err := u.Run.Transition(run.Stopped, "me", "", time.Now())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, one := range r.runsOf(t, sw.ID) {
		if err := r.queue.Send(t.Context(), one.ID); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.cluster.Jobs()) != 0 {
		t.Errorf("stopped runs were sent: %v", r.cluster.Jobs())
	}
}
