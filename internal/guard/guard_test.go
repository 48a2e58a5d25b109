package guard_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/guard"
	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/storage"
)

// openMethods tell nothing that needs a right, or have tests of their own.
var openMethods = []string{"Allow", "Registry", "SiteRules", "Storages", "Path", "Mount", "Touches", "CheckDeletable", "CheckpointKeepers"}

// callAll calls every method with the run, the sweep and the project that there are, and returns the errors by name.
func callAll(ctx context.Context, of any) map[string]error {
	out := map[string]error{}
	v := reflect.ValueOf(of)
	for i := range v.NumMethod() {
		m := v.Type().Method(i)
		if slices.Contains(openMethods, m.Name) {
			continue
		}
		args := []reflect.Value{reflect.ValueOf(ctx)}
		for n := 2; n < m.Type.NumIn(); n++ { // after receiver and context
			args = append(args, argument(m.Type.In(n)))
		}
		results := v.Method(i).Call(args)
		if len(results) == 0 {
			continue
		}
		if err, ok := results[len(results)-1].Interface().(error); ok && !reflect.ValueOf(err).IsZero() {
			out[m.Name] = err
		}
	}
	return out
}

func argument(t reflect.Type) reflect.Value {
	switch t {
	case reflect.TypeFor[run.ID]():
		return reflect.ValueOf(theRun)
	case reflect.TypeFor[run.SweepID]():
		return reflect.ValueOf(theSweep)
	case reflect.TypeFor[run.Projects]():
		return reflect.ValueOf(run.AllProjects())
	case reflect.TypeFor[run.RunFilter]():
		return reflect.ValueOf(run.RunFilter{Projects: run.AllProjects()})
	case reflect.TypeFor[run.Submission]():
		return reflect.ValueOf(run.Submission{Project: theirs})
	case reflect.TypeFor[run.SweepSpec]():
		return reflect.ValueOf(run.SweepSpec{Submission: run.Submission{Project: theirs}})
	case reflect.TypeFor[run.Template]():
		return reflect.ValueOf(run.Template{Project: theirs})
	case reflect.TypeFor[string]():
		return reflect.ValueOf(theirs)
	}
	return reflect.Zero(t)
}

// forAdministrators are methods that no role of a project allows.
func forAdministrators(method string) bool {
	return method == "Measure" || method == "StopMeasurement" || method == "SetProjectLayout"
}

func TestAnAdministratorMeasuresTheCluster(t *testing.T) {
	t.Parallel()
	g, b := newGuard(t)
	ctx := access.With(t.Context(), access.Identity{User: "u1", Name: "ann", Administrator: true})
	if _, err := g.Measure(ctx, measure.Choice{}); err != nil || !slices.Equal(b.actors, []string{"ann"}) || b.pending[0].Action != "cluster.measure" {
		t.Errorf("%v, by %v, %+v", err, b.actors, b.pending)
	}
	if _, err := g.StopMeasurement(ctx, "m-1"); err != nil || !slices.Equal(b.actors, []string{"ann", "ann"}) || b.pending[1].Action != "cluster.measure" {
		t.Errorf("stopped: %v, by %v, %+v", err, b.actors, b.pending)
	}
	limited := access.With(t.Context(), access.Identity{User: "u1", Name: "ann", Administrator: true, Token: "t", Limit: &access.Limit{Scopes: []access.Scope{access.ScopeWrite}, Project: theirs}})
	if _, err := g.Measure(limited, measure.Choice{}); !errors.Is(err, fault.ErrForbidden) {
		t.Errorf("with a token for a project: %v", err)
	}
}

func TestNobodyGetsThrough(t *testing.T) {
	t.Parallel()
	g, b := newGuard(t)
	for _, of := range []any{g, storages(g, b), inStorage(t, g, b, theirs)} {
		for name, err := range callAll(t.Context(), of) {
			if err != nil && !errors.Is(err, fault.ErrSignedOut) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if len(b.through) > 0 || len(b.log) > 0 {
		t.Errorf("got through: %v; in the audit log: %+v", b.through, b.log)
	}
}

func TestWhatIsOfAnotherProjectDoesNotExist(t *testing.T) {
	t.Parallel()
	g, b := newGuard(t)
	for name, err := range callAll(as(t.Context(), map[string]access.Role{"text": access.Admin}), g) {
		if err != nil && !errors.Is(err, fault.ErrNotFound) && !forAdministrators(name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.through = slices.DeleteFunc(b.through, func(name string) bool {
		return slices.Contains([]string{"Nodes", "MeasureGPUs", "Runs", "ListRuns", "CountRuns", "Sweeps", "Templates", "LogUsage"}, name) // these show what is theirs
	})
	if len(b.through) > 0 {
		t.Errorf("got through: %v", b.through)
	}
	for _, in := range b.in {
		if in.All || !slices.Equal(in.Names, []string{"text"}) {
			t.Errorf("looked into %+v", in)
		}
	}
	for _, e := range b.log {
		if e.Outcome != audit.Refused || e.Actor.Name != "ann" || e.Project != theirs && e.Action != string(access.ClusterMeasure) {
			t.Errorf("in the audit log: %+v", e)
		}
	}
	if len(b.log) < 10 {
		t.Errorf("%d refusals in the audit log", len(b.log))
	}
}

func TestUsageIsToldOfOnesOwnProjects(t *testing.T) {
	t.Parallel()
	g, _ := newGuard(t)
	for name, c := range map[string]struct {
		ctx  context.Context
		want []string
	}{
		"a viewer":         {as(t.Context(), map[string]access.Role{"speech": access.Viewer}), []string{"speech"}},
		"of another":       {as(t.Context(), map[string]access.Role{"text": access.Admin}), nil},
		"an administrator": {access.With(t.Context(), access.Local()), []string{"vision", "speech", ""}},
	} {
		all, err := g.LogUsage(c.ctx)
		var got []string
		for _, u := range all {
			got = append(got, u.Project)
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s sees %q, %v", name, got, err)
		}
	}
}

func TestAViewerSeesEverythingAndChangesNothing(t *testing.T) {
	t.Parallel()
	g, b := newGuard(t)
	ctx := as(t.Context(), map[string]access.Role{theirs: access.Viewer})
	refused := []string{}
	for _, of := range []any{g, storages(g, b), inStorage(t, g, b, theirs)} {
		for name, err := range callAll(ctx, of) {
			switch {
			case errors.Is(err, fault.ErrForbidden):
				refused = append(refused, name)
			case err != nil:
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	slices.Sort(refused)
	want := []string{"Act", "Delete", "Delete", "DeleteSweep", "DeleteTemplate", "DryRun", "Edit", "LaunchOf", "Measure", "Repair", "SaveTemplate", "SetProjectLayout", "Stop", "StopMeasurement", "StopSweep", "Submit", "SubmitSweep"}
	if !slices.Equal(refused, want) || len(b.actors) > 0 {
		t.Errorf("refused %v, want %v; actors %v", refused, want, b.actors)
	}
}

func TestWhoMayActsUnderTheirNameAndWithAnEntry(t *testing.T) {
	t.Parallel()
	g, b := newGuard(t)
	for name, err := range callAll(as(t.Context(), map[string]access.Role{theirs: access.Operator}), g) {
		if err != nil && !forAdministrators(name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(b.actors) != 10 || slices.ContainsFunc(b.actors, func(a string) bool { return a != "ann" }) {
		t.Errorf("actors %v", b.actors)
	}
	for _, p := range b.pending {
		if p == nil || p.Project != theirs || p.Actor.User != "u1" || !strings.Contains(p.Subject, ":") || p.Outcome != audit.Done {
			t.Errorf("pending: %+v", p)
		}
	}
}

func TestATokenMayNoMoreThanItsScopes(t *testing.T) {
	t.Parallel()
	g, _ := newGuard(t)
	for name, c := range map[string]struct {
		limit        access.Limit
		submit, stop error
	}{
		"read":                {access.Limit{Scopes: []access.Scope{access.ScopeRead}}, fault.ErrForbidden, fault.ErrForbidden},
		"write":               {access.Limit{Scopes: []access.Scope{access.ScopeWrite}}, nil, nil},
		"one right":           {access.Limit{Scopes: []access.Scope{access.ScopeRead, access.Scope(access.RunsStop)}}, fault.ErrForbidden, nil},
		"another project":     {access.Limit{Project: "text", Scopes: []access.Scope{access.ScopeAll}}, fault.ErrNotFound, fault.ErrNotFound},
		"only its own rights": {access.Limit{Scopes: []access.Scope{access.Scope(access.RunsStop)}}, fault.ErrNotFound, nil},
	} {
		ctx := access.With(t.Context(), access.Identity{User: "u1", Name: "ann", Administrator: true, Token: "t1", Limit: &c.limit})
		if _, err := g.Submit(ctx, run.Submission{Project: theirs}); !errors.Is(err, c.submit) {
			t.Errorf("%s: submit: %v", name, err)
		}
		if err := g.Stop(ctx, theRun); !errors.Is(err, c.stop) {
			t.Errorf("%s: stop: %v", name, err)
		}
	}
}

func TestNamesOfOthersAreHiddenWhereTheyStandBetween(t *testing.T) {
	t.Parallel()
	g, _ := newGuard(t)
	for name, c := range map[string]struct {
		role  access.Role
		ahead string
	}{"text": {access.Viewer, ""}, theirs: {access.Viewer, "secret plan"}} {
		ctx := as(t.Context(), map[string]access.Role{name: c.role})
		runs := []run.Run{{ID: "r-0000000002"}}
		if err := g.SetQueuePlaces(ctx, runs); err != nil || runs[0].QueuePlace.Ahead[0].Name != c.ahead {
			t.Errorf("%s: ahead %+v, %v", name, runs[0].QueuePlace.Ahead, err)
		}
		nodes, err := g.Nodes(ctx)
		if err != nil || (nodes[0].Uses[0].Run == theRun) != (c.ahead != "") || strings.Contains(nodes[0].Uses[0].Job, string(theRun)) != (c.ahead != "") {
			t.Errorf("%s: uses %+v, %v", name, nodes, err)
		}
	}
}

func TestWhoeverDeletesFromStorageLearnsThatRunsOfOthersAreConcerned(t *testing.T) {
	t.Parallel()
	g, b := newGuard(t)
	whole := run.Run{ID: theRun, Project: theirs, Name: "secret plan", Config: "secret", CheckpointPath: "models/x"}
	for name, c := range map[string]struct {
		ctx  context.Context
		want run.Run
	}{
		"a member":      {as(t.Context(), map[string]access.Role{theirs: access.Viewer}), whole},
		"somebody else": {as(t.Context(), map[string]access.Role{"text": access.Admin}), run.Run{ID: theRun, Name: run.OfAnotherProject, CheckpointPath: "models/x"}},
	} {
		b.runs = []run.Run{whole}
		got, err := g.CheckpointKeepers(c.ctx, run.RunFilter{Projects: run.AllProjects()})
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], c.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := g.CheckpointKeepers(t.Context(), run.RunFilter{Projects: run.AllProjects()}); !errors.Is(err, fault.ErrSignedOut) {
		t.Errorf("nobody: %v", err)
	}
}

func TestATemplateWithoutAProjectIsOfTheDefaultOne(t *testing.T) {
	t.Parallel()
	g, _ := newGuard(t)
	ctx := as(t.Context(), map[string]access.Role{access.DefaultProject: access.Operator})
	_, one := g.Template(ctx, "", "mine", 0)
	_, all := g.TemplateVersions(ctx, "", "mine")
	if err := errors.Join(one, all, g.DeleteTemplate(ctx, "", "mine")); err != nil {
		t.Error(err)
	}
}

func TestTheProjectGoesWithoutSaying(t *testing.T) {
	t.Parallel()
	op := access.Operator
	for name, c := range map[string]struct {
		who         access.Identity
		given, want string
	}{
		"the one given":                      {access.Identity{User: "u", Roles: map[string]access.Role{"a": op}}, "b", "b"},
		"the only one":                       {access.Identity{User: "u", Roles: map[string]access.Role{"a": op, "b": access.Viewer}}, "", "a"},
		"the default one":                    {access.Identity{User: "u", Roles: map[string]access.Role{"a": op, "default": op}}, "", "default"},
		"an administrator's":                 {access.Identity{User: "u", Administrator: true}, "", "default"},
		"that of the token":                  {access.Identity{User: "u", Administrator: true, Limit: &access.Limit{Project: "c", Scopes: []access.Scope{access.ScopeWrite}}}, "", "c"},
		"several, none of which is default ": {access.Identity{User: "u", Roles: map[string]access.Role{"a": op, "b": op}}, "", ""},
	} {
		got, err := run.ProjectFor(c.who, access.RunsSubmit, c.given)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestWhatNoTransactionIncludesIsInTheLogBeforeItIsDone(t *testing.T) {
	t.Parallel()
	g, b := newGuard(t)
	s := inStorage(t, g, b, theirs)
	ctx := access.With(t.Context(), access.Local())
	if _, err := s.Delete(ctx, "models/x"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Delete(ctx, "busy"); err == nil {
		t.Error("deleted what is busy")
	}
	var told []string
	for _, e := range b.log {
		told = append(told, string(e.Outcome)+" "+e.Subject)
	}
	if want := []string{"begun storage:teams/vision/models/x", "done storage:teams/vision/models/x", "begun storage:teams/vision/busy", "failed storage:teams/vision/busy"}; !slices.Equal(told, want) {
		t.Errorf("told %v", told)
	}
	b.full, b.through = fault.ErrFull, nil
	if _, err := s.Delete(ctx, "models/y"); !errors.Is(err, fault.ErrFull) || len(b.through) > 0 {
		t.Errorf("without an entry: %v, %v", err, b.through)
	}
}

var _ guard.Files = (*storage.Storage)(nil)

func TestWhatIsDeletedIsOfNoProjectAnyMore(t *testing.T) {
	t.Parallel()
	g, b := newGuard(t)
	ctx := as(t.Context(), map[string]access.Role{theirs: access.Operator})
	see := func() error {
		return g.Allow(ctx, access.RunsRead, access.Subject{Kind: access.SubjectRun, ID: string(theRun)})
	}
	if err := see(); err != nil {
		t.Fatal(err)
	}
	if err := g.Delete(ctx, theRun); err != nil {
		t.Fatal(err)
	}
	b.gone = true
	if err := see(); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("a run that was deleted may be followed: %v", err)
	}
}
