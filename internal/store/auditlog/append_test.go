package auditlog_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
)

// both runs a test on SQLite and PostgreSQL, with a new store.
func both(t *testing.T, test func(t *testing.T, s *store.Store)) {
	t.Helper()
	t.Parallel()
	for name, url := range map[string]func(t *testing.T) string{"SQLite": func(*testing.T) string { return "" }, "PostgreSQL": func(t *testing.T) string { return pgtest.URL(t) }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t, db.Options{URL: url(t)}))
		})
	}
}

func open(t testing.TB, o db.Options) *store.Store {
	t.Helper()
	s, err := store.OpenAt(context.Background(), t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	createProject(t, s)
	return s
}

// createProject makes the project of what is changed, unless it is there.
func createProject(t testing.TB, s *store.Store) {
	t.Helper()
	if err := s.CreateProject(context.Background(), access.Project{Name: "vision"}); err != nil && !errors.Is(err, fault.ErrConflict) {
		t.Fatal(err)
	}
}

// by is a context in which ann changes something.
func by(ctx context.Context, action access.Right) (context.Context, *audit.Pending) {
	return audit.Begin(ctx, audit.Entry{Action: string(action), Actor: audit.Actor{User: "u-1", Name: "ann", Address: "10.0.0.7", Agent: "Firefox"}, Request: "q-1"})
}

// verdict verifies the whole log.
func verdict(t *testing.T, s *store.Store) audit.Verdict {
	t.Helper()
	v := s.Audit.NewVerification()
	for {
		done, err := v.Next(t.Context(), 1000)
		if err != nil {
			t.Fatal(err)
		}
		if done {
			return v.Verdict()
		}
	}
}

func newRun(n int) run.Run {
	return run.Run{ID: run.ID(fmt.Sprintf("r-%010d", n)), Project: "vision", Name: fmt.Sprintf("run %d", n), State: run.Queued, Shape: run.Shape{Nodes: 1}, Config: "a = 1"}
}

func TestWhatPersonsChangeIsLoggedWithIt(t *testing.T) {
	both(t, func(t *testing.T, s *store.Store) {
		ctx, p := by(t.Context(), access.RunsSubmit)
		r := newRun(1)
		if _, _, err := s.CreateRun(ctx, r, "", run.Event{RunID: r.ID}); err != nil || !p.Recorded() {
			t.Fatal(err, p.Recorded())
		}
		ctx, p = by(t.Context(), access.RunsStop)
		stop := func(u *store.Update) error { return u.Stop("ann", run.StopByPerson, time.Now()) }
		if _, err := s.Update(ctx, r.ID, stop); err != nil || !p.Recorded() {
			t.Fatal(err, p.Recorded())
		}
		ctx, p = by(t.Context(), access.RunsStop)
		if _, err := s.Update(ctx, r.ID, func(*store.Update) error { return errors.New("no") }); err == nil || p.Recorded() {
			t.Fatal(err, p.Recorded())
		}
		if _, err := s.Update(t.Context(), r.ID, func(*store.Update) error { return nil }); err != nil { // of the console
			t.Fatal(err)
		}
		ctx, _ = by(t.Context(), access.TemplatesSave)
		for _, config := range []string{"b = 1", "b = 2", "b = 2"} { // the last changes nothing
			if _, err := s.SaveTemplate(ctx, run.Template{Project: "vision", Name: "base", Config: config}, run.AnyVersion); err != nil {
				t.Fatal(err)
			}
		}
		ctx, _ = by(t.Context(), access.TemplatesDelete)
		if err := s.DeleteTemplate(ctx, "vision", "Base"); err != nil {
			t.Fatal(err)
		}
		ctx, _ = by(t.Context(), access.RunsSubmit)
		of := newRun(2)
		of.Origin.Sweep = "s-0000000001"
		if _, _, err := s.CreateSweep(ctx, run.Sweep{ID: of.Origin.Sweep, Project: "vision", Name: "grid"}, "", []run.Run{of}, []run.Event{{RunID: of.ID}}); err != nil {
			t.Fatal(err)
		}
		ctx, _ = by(t.Context(), access.RunsStop)
		if _, err := s.StopSweep(ctx, of.Origin.Sweep, stop); err != nil {
			t.Fatal(err)
		}
		ctx, _ = by(t.Context(), access.RunsDelete)
		if err := s.DeleteRun(ctx, of.ID); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteSweep(ctx, of.Origin.Sweep); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range all(t, s) {
			if r.Actor.Name != "ann" || r.Project != "vision" || r.Request != "q-1" || r.Outcome != audit.Done || r.At.IsZero() {
				t.Errorf("entry %+v", r)
			}
			got = append(got, fmt.Sprint(r.Action, " ", r.Subject, stateOf(r.Before), "→", stateOf(r.After)))
		}
		want := []string{
			"runs.submit run:r-0000000001→ queued", "runs.stop run:r-0000000001 queued→ stopped",
			"templates.save template:base→ 1", "templates.save template:base 1→ 2", "templates.delete template:base 2→",
			"runs.submit sweep:s-0000000001→ false", "runs.stop sweep:s-0000000001 false→ true",
			"runs.delete run:r-0000000002 stopped→", "runs.delete sweep:s-0000000001 true→",
		}
		if a, b := strings.Join(got, "\n"), strings.Join(want, "\n"); a != b {
			t.Errorf("the log has\n%s\nwant\n%s", a, b)
		}
		if v := verdict(t, s); !v.OK() || v.Entries != int64(len(want)) || v.Last != int64(len(want)) {
			t.Errorf("%+v", v)
		}
	})
}

func TestTransactionsThatAreRepeatedAreLoggedOnce(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"SQLite": "", "PostgreSQL": pgtest.URL(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, db.Options{URL: url, Twice: true})
			var wg sync.WaitGroup
			const n = 40
			for i := range n {
				wg.Go(func() {
					ctx, p := by(context.Background(), access.RunsSubmit)
					if _, _, err := s.CreateRun(ctx, newRun(i), "", run.Event{RunID: newRun(i).ID}); err != nil || !p.Recorded() {
						t.Error(err, p.Recorded())
					}
				})
			}
			wg.Wait()
			if v := verdict(t, s); !v.OK() || v.Entries != n {
				t.Errorf("%+v", v)
			}
		})
	}
}

// all returns all entries, oldest first.
func all(t *testing.T, s *store.Store) (out []audit.Row) {
	t.Helper()
	err := s.Audit.Export(t.Context(), audit.Filter{AllProjects: true}, func(r audit.Row, _ audit.Hash) error {
		out = append(out, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func stateOf(value json.RawMessage) string {
	var v struct {
		State   string
		Version int
		Stopped *bool
	}
	switch {
	case len(value) == 0:
		return ""
	case json.Unmarshal(value, &v) != nil:
		return string(value)
	case v.Stopped != nil:
		return fmt.Sprint(" ", *v.Stopped)
	case v.Version > 0:
		return fmt.Sprint(" ", v.Version)
	}
	return " " + v.State
}
