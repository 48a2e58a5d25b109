package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

// Store is everything that callers use of a store.
type Store interface {
	CreateRun(ctx context.Context, r run.Run, a run.Attempt, key string, evs ...run.Event) (run.Run, bool, error)
	Run(ctx context.Context, id run.ID) (run.Run, error)
	Runs(ctx context.Context, f run.RunFilter) ([]run.Run, error)
	RunsAtNomad(ctx context.Context) ([]run.Run, error)
	CountRuns(ctx context.Context, f run.RunFilter) (map[run.State]int, error)
	SaveProgress(ctx context.Context, id run.ID, p run.Progress) error
	Update(ctx context.Context, id run.ID, fn func(*store.Update) error) (store.Update, error)
	Attempts(ctx context.Context, id run.ID) ([]run.Attempt, error)
	RunOfJob(ctx context.Context, jobID string) (run.ID, error)
	Workers(ctx context.Context, id run.ID) ([]run.Worker, error)
	Events(ctx context.Context, id run.ID, after int64, limit int) ([]run.Event, error)
	EventsBefore(ctx context.Context, id run.ID, before int64, limit int) ([]run.Event, error)
	Cursor(ctx context.Context, allocID, stream string) (store.Cursor, error)
	Commit(ctx context.Context, batches []*store.Batch) error
	Told(ctx context.Context, id run.ID) (map[string]run.Told, error)
	Metrics(ctx context.Context, id run.ID) ([]string, error)
	PointsPage(ctx context.Context, id run.ID, metric string, from int64, after *points.Place, limit int) ([]points.WorkerPoint, error)
	SealPoints(ctx context.Context) (bool, error)
	Curve(ctx context.Context, id run.ID, metric string, fromStep int64) ([]run.CurvePoint, error)
	RollUp(ctx context.Context, id run.ID) (points.RollUp, bool, error)
	StaleCurves(ctx context.Context) ([]run.ID, error)
	Headline(ctx context.Context, id run.ID) (run.Progress, error)
	Logs(ctx context.Context, id run.ID, q run.LogQuery) ([]run.LogLine, error)
	Seal(ctx context.Context, id run.ID, atLeast int) error
	UnsealedRuns(ctx context.Context, atLeast int) ([]run.ID, error)
	DeleteRun(ctx context.Context, id run.ID) error
	Tidy(ctx context.Context) error
	Saved(ctx context.Context, id run.ID) ([]run.Saved, error)
	Dispatching(ctx context.Context) ([]run.ID, error)
	Expired(ctx context.Context, now time.Time) ([]run.ID, error)
	Due(ctx context.Context, now time.Time) error
	ReadyGroups(ctx context.Context) ([]store.ReadyGroup, error)
	ReadyOf(ctx context.Context, g store.ReadyGroup, limit int) ([]store.ReadyRun, error)
	Unplaced(ctx context.Context) ([]store.Unplaced, error)
	Lines(ctx context.Context, runs []run.Run) error
	ReadyWithout(ctx context.Context, sweep run.SweepID, reason string) ([]run.ID, error)
	SetReason(ctx context.Context, reason string, ids []run.ID) error
	SaveTemplate(ctx context.Context, t run.Template, follows int) (run.Template, error)
	Template(ctx context.Context, name string, version int) (run.Template, error)
	Templates(ctx context.Context) ([]run.Template, error)
	TemplateVersions(ctx context.Context, name string) ([]run.Template, error)
	DeleteTemplate(ctx context.Context, name string) error
	CreateSweep(ctx context.Context, sw run.Sweep, key string, runs []run.Run, evs []run.Event) (run.Sweep, bool, error)
	Sweep(ctx context.Context, id run.SweepID) (run.Sweep, error)
	BestRun(ctx context.Context, id run.SweepID) (run.Run, error)
	Sweeps(ctx context.Context, before run.SweepID, limit int) ([]run.Sweep, error)
	StopSweep(ctx context.Context, id run.SweepID, fn func(*store.Update) error) ([]store.Update, error)
	DeleteSweep(ctx context.Context, id run.SweepID) error
	Ordered() <-chan struct{}
	Orders(ctx context.Context) ([]store.Order, error)
	Done(ctx context.Context, o store.Order) error
	Ping(ctx context.Context) error
	Close() error
}

// Run runs the suite; open returns a new, empty store each time.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"a run comes back as it was stored":                       testRoundTrip,
		"where an attempt diverged is told once":                  testDiverged,
		"an attempt keeps its first step":                         testFirstStep,
		"a repeated key returns the first run":                    testKey,
		"a run can be stored with its first attempt":              testCreateClaimed,
		"a taken ID is a conflict":                                testTakenID,
		"runs are listed newest first, filtered and paged":        testList,
		"runs that may have workers are found by their state":     testRunsAtNomad,
		"an update stores run, attempt, workers and events":       testUpdate,
		"an update whose function fails changes nothing":          testUpdateFails,
		"events are read from either end, page by page":           testEvents,
		"a batch is stored whole and moves its cursor":            testCommit,
		"what both streams say of an end comes together":          testTold,
		"a batch from an old cursor stores nothing":               testStaleCursor,
		"a batch of a deleted run stores nothing":                 testDeletedRun,
		"an exact value wins over a printed one in either order":  testExact,
		"a later attempt wins over an earlier one":                testAttempts,
		"values that are not finite survive":                      testNotFinite,
		"curves follow their points":                              testRollUp,
		"a long curve can be read from any step and cut at any":   testLongCurve,
		"a curve is taken over workers":                           testCurve,
		"points are the same before and after sealing":            testSealPoints,
		"points are paged by rank and step":                       testPointsPage,
		"logs read the same before and after sealing":             testLogs,
		"sealing waits for enough and keeps other runs out of it": testSeal,
		"many batches at once lose nothing":                       testConcurrent,
		"deleting removes a run and nothing else":                 testDelete,
		"options and origin of a run come back":                   testOptions,
		"runs are found by tag and description":                   testWords,
		"a retry's count, wait and resume survive":                testRetry,
		"checkpoints of each worker are remembered, newest":       testSaved,
		"every change of a run has a revision of its own":         testRevision,
		"a further attempt replaces the steps that it repeats":    testRepeat,
		"the headline is of those that still take part":           testHeadline,
		"what is to be sent is in order of priority, then age":    testReady,
		"what Nomad may have is sent again":                       testMaybeSent,
		"runs that are not placed whole are found":                testUnplaced,
		"a run that waits for its turn knows who is ahead":        testLines,
		"a run whose time has come waits for its turn":            testDue,
		"queued runs expire, and others do not":                   testExpired,
		"those that wait with another reason are found":           testReadyWithout,
		"only queued runs get a reason for waiting":               testReason,
		"templates have versions":                                 testTemplates,
		"templates saved at once each get a version":              testTemplatesAtOnce,
		"of those that follow one version of a template one wins": testTemplateFollows,
		"a sweep is stored with its runs":                         testSweep,
		"a sweep that cannot be stored leaves no run":             testSweepFails,
		"sweeps are listed newest first":                          testSweeps,
		"a sweep is stopped with its runs":                        testStopSweep,
		"the best run of a sweep has the lowest loss":             testBestRun,
		"a sweep with runs is not deleted":                        testDeleteSweep,
		"orders are kept until they are done":                     testOrders,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newRun(id, name string) run.Run {
	return run.Run{
		ID: run.ID(id), Name: name, Preset: "debug", Config: "x = 1\n", State: run.Queued, CreatedAt: epoch,
		Shape: run.Shape{Nodes: 2, CPU: 100, Memory: 300}, StepsTotal: 20, InnerSteps: 5,
	}
}

func create(t *testing.T, s Store, id, name string) run.Run {
	t.Helper()
	r := newRun(id, name)
	stored, created, err := s.CreateRun(t.Context(), r, run.Attempt{}, "", run.Event{RunID: r.ID, At: epoch, Kind: "state", Actor: "test", To: run.Queued, Rank: -1})
	if err != nil || !created {
		t.Fatalf("create %s: %v, created %v", id, err, created)
	}
	return stored
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s differs (-want +got):\n%s", what, d)
	}
}

func testRoundTrip(t *testing.T, s Store) {
	want := create(t, s, "r-0000000001", "naïve 🚀 \u05d0 <b>")
	got, err := s.Run(t.Context(), want.ID)
	must(t, err)
	same(t, "run", got, want)
	if _, err := s.Run(t.Context(), "r-0000000009"); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("a run that does not exist gave %v", err)
	}
	evs, err := s.Events(t.Context(), want.ID, 0, 10)
	must(t, err)
	if len(evs) != 1 || evs[0].To != run.Queued || !evs[0].At.Equal(epoch) || evs[0].Seq == 0 {
		t.Errorf("first event is %+v", evs)
	}
	p := run.Progress{Step: 7, Loss: 2.5, HasLoss: true, TokensPerSec: 100, UpdatedAt: epoch}
	must(t, s.SaveProgress(t.Context(), want.ID, p))
	got, err = s.Run(t.Context(), want.ID)
	must(t, err)
	same(t, "progress", got.Progress, p)
	must(t, s.Ping(t.Context()))
}

func testFirstStep(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	attempt := func(n int) {
		_, err := s.Update(t.Context(), id, func(u *store.Update) error {
			u.Run.Attempt = n
			return nil
		})
		must(t, err)
	}
	save := func(step int64, at time.Time) {
		must(t, s.SaveProgress(t.Context(), id, run.Progress{Step: step, Loss: 1, HasLoss: true, UpdatedAt: at}))
	}
	first := func(what string, step int64, at time.Time) {
		t.Helper()
		r, err := s.Run(t.Context(), id)
		must(t, err)
		if r.FirstStep != step || !r.FirstAt.Equal(at) {
			t.Errorf("%s: step %d at %v, want %d at %v", what, r.FirstStep, r.FirstAt, step, at)
		}
	}
	later := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Minute) }
	first("before any", 0, time.Time{})
	attempt(1)
	save(3, later(1))
	save(50, later(2))
	first("the first attempt", 3, later(1))
	attempt(2)
	save(51, later(3)) // of a worker of the first that was slow to say so
	must(t, s.Commit(t.Context(), []*store.Batch{steps(id, 2, 0, 21, 22)}))
	save(21, later(5))
	save(22, later(6))
	first("the second attempt", 21, later(5))
}

func testKey(t *testing.T, s Store) {
	first, created, err := s.CreateRun(t.Context(), newRun("r-0000000001", "a"), run.Attempt{}, "k", run.Event{RunID: "r-0000000001"})
	must(t, err)
	again, twice, err := s.CreateRun(t.Context(), newRun("r-0000000002", "b"), run.Attempt{}, "k", run.Event{RunID: "r-0000000002"})
	must(t, err)
	if !created || twice || again.ID != first.ID {
		t.Errorf("got %s (created %v) after %s (created %v)", again.ID, twice, first.ID, created)
	}
}

func testCreateClaimed(t *testing.T, s Store) {
	r := newRun("r-0000000001", "a")
	r.State, r.Attempt = run.Dispatching, 1
	a := run.Attempt{RunID: r.ID, Number: 1, ParentJob: "p", CreatedAt: epoch}
	_, _, err := s.CreateRun(t.Context(), r, a, "", run.Event{RunID: r.ID, To: run.Queued}, run.Event{RunID: r.ID, From: run.Queued, To: run.Dispatching})
	must(t, err)
	as, err := s.Attempts(t.Context(), r.ID)
	must(t, err)
	same(t, "attempts", as, []run.Attempt{a})
	evs, err := s.Events(t.Context(), r.ID, 0, 10)
	must(t, err)
	if len(evs) != 2 || evs[0].To != run.Queued || evs[1].To != run.Dispatching {
		t.Errorf("events are %+v", evs)
	}
}

func testTakenID(t *testing.T, s Store) {
	create(t, s, "r-0000000001", "a")
	if _, _, err := s.CreateRun(t.Context(), newRun("r-0000000001", "b"), run.Attempt{}, "", run.Event{}); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("got %v, want a conflict", err)
	}
}

func testRunsAtNomad(t *testing.T, s Store) {
	want := []run.ID{}
	for i, state := range run.States() {
		r := newRun(fmt.Sprintf("r-%010d", i), string(state))
		r.State = state
		if _, _, err := s.CreateRun(t.Context(), r, run.Attempt{}, ""); err != nil {
			t.Fatal(err)
		}
		switch state {
		case run.Pending, run.Running, run.Degraded, run.Stopping:
			want = append([]run.ID{r.ID}, want...) // newest first
		}
	}
	got, err := s.RunsAtNomad(t.Context())
	must(t, err)
	ids := []run.ID{}
	for _, r := range got {
		ids = append(ids, r.ID)
	}
	same(t, "runs at Nomad", ids, want)
}

func testList(t *testing.T, s Store) {
	for i := range 5 {
		create(t, s, fmt.Sprintf("r-000000000%d", i), fmt.Sprintf("run %d 100%%_x", i))
	}
	_, err := s.Update(t.Context(), "r-0000000003", func(u *store.Update) error {
		_, err := u.Run.Transition(run.Stopped, "test", "", epoch)
		return err
	})
	must(t, err)
	for _, tc := range []struct {
		f    run.RunFilter
		want string
	}{
		{run.RunFilter{Limit: 10}, "4 3 2 1 0"},
		{run.RunFilter{Limit: 2}, "4 3"},
		{run.RunFilter{Limit: 2, Before: "r-0000000003"}, "2 1"},
		{run.RunFilter{Limit: 9, States: []run.State{run.Queued}}, "4 2 1 0"},
		{run.RunFilter{Limit: 9, States: []run.State{run.Stopped, run.Failed}}, "3"},
		{run.RunFilter{Limit: 9, Text: "RUN 2"}, "2"},
		{run.RunFilter{Limit: 9, Text: "0000001"}, "1"},
		{run.RunFilter{Limit: 9, Text: "0%_x"}, "4 3 2 1 0"},
		{run.RunFilter{Limit: 9, Text: "r%n"}, ""},
		{run.RunFilter{Limit: 9, Text: `\`}, ""},
		{run.RunFilter{Limit: 9, Text: "' OR 1=1 --"}, ""},
	} {
		runs, err := s.Runs(t.Context(), tc.f)
		must(t, err)
		var ids []string
		for _, r := range runs {
			ids = append(ids, string(r.ID[len(r.ID)-1:]))
		}
		same(t, fmt.Sprintf("list of %+v", tc.f), strings.Join(ids, " "), tc.want)
	}
	sweepOf(t, s, "s-0000000007", 3)
	sweepOf(t, s, "s-0000000006", 2)
	for _, tc := range []struct {
		f    run.RunFilter
		want string
	}{
		{run.RunFilter{Limit: 9}, "r-7000000002 r-6000000001 r-0000000004 r-0000000003 r-0000000002 r-0000000001 r-0000000000"},
		{run.RunFilter{Limit: 2}, "r-7000000002 r-6000000001"},
		{run.RunFilter{Limit: 2, Before: "r-7000000002"}, "r-6000000001 r-0000000004"},
		{run.RunFilter{Limit: 9, Text: "s #1"}, "r-7000000000 r-6000000000"},
		{run.RunFilter{Limit: 9, States: []run.State{run.Stopped}}, "r-0000000003"},
	} {
		tc.f.Folded = true
		runs, err := s.Runs(t.Context(), tc.f)
		must(t, err)
		var ids []string
		for _, r := range runs {
			ids = append(ids, string(r.ID))
		}
		same(t, fmt.Sprintf("folded list of %+v", tc.f), strings.Join(ids, " "), tc.want)
	}
	must(t, s.DeleteRun(t.Context(), "r-7000000000")) // the counts are of what there is
	for text, want := range map[string]map[run.State]int{"": {run.Queued: 8, run.Stopped: 1}, "run 3": {run.Stopped: 1}, "S #": {run.Queued: 4}, "none": {}} {
		counts, err := s.CountRuns(t.Context(), run.RunFilter{Text: text})
		must(t, err)
		same(t, fmt.Sprintf("counts of %q", text), counts, want)
	}
}

func testUpdate(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	worker := run.Worker{AllocID: "a1", RunID: id, Attempt: 1, Rank: 1, State: run.WorkerPending, GPUs: []run.GPU{{ID: "g", Model: "m"}}}
	u, err := s.Update(t.Context(), id, func(u *store.Update) error {
		u.Attempt = run.Attempt{RunID: id, Number: 1, ParentJob: "p", CreatedAt: epoch}
		u.Run.Attempt = 1
		u.Workers = []run.Worker{worker}
		ev, err := u.Run.Transition(run.Dispatching, "test", "go", epoch)
		u.Events = append(u.Events, *ev)
		return err
	})
	must(t, err)
	if u.Events[0].Seq == 0 {
		t.Error("the event has no sequence")
	}
	_, err = s.Update(t.Context(), id, func(u *store.Update) error {
		u.Attempt.JobID = "p/dispatch-1"
		u.Workers[0].State = run.WorkerRunning
		_, err := u.Run.Transition(run.Pending, "test", "", epoch)
		return err
	})
	must(t, err)
	worker.State = run.WorkerRunning
	ws, err := s.Workers(t.Context(), id)
	must(t, err)
	same(t, "workers", ws, []run.Worker{worker})
	as, err := s.Attempts(t.Context(), id)
	must(t, err)
	same(t, "attempts", as, []run.Attempt{{RunID: id, Number: 1, ParentJob: "p", JobID: "p/dispatch-1", CreatedAt: epoch}})
	owner, err := s.RunOfJob(t.Context(), "p/dispatch-1")
	must(t, err)
	same(t, "owner of the job", owner, id)
	if _, err := s.RunOfJob(t.Context(), "other"); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("owner of an unknown job: %v", err)
	}
	newest, err := s.EventsBefore(t.Context(), id, math.MaxInt64, 1)
	must(t, err)
	if len(newest) != 1 || newest[0].To != run.Dispatching {
		t.Errorf("newest event is %+v", newest)
	}
}

func testUpdateFails(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	boom := errors.New("boom")
	_, err := s.Update(t.Context(), id, func(u *store.Update) error {
		u.Run.State, u.Attempt = run.Failed, run.Attempt{RunID: id, Number: 1}
		u.Events = append(u.Events, run.Event{RunID: id})
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatalf("got %v", err)
	}
	r, err := s.Run(t.Context(), id)
	must(t, err)
	as, err := s.Attempts(t.Context(), id)
	must(t, err)
	if r.State != run.Queued || len(as) != 0 {
		t.Errorf("state %s, %d attempts", r.State, len(as))
	}
	if _, err := s.Update(t.Context(), "r-0000000009", func(*store.Update) error { return nil }); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("an update of nothing gave %v", err)
	}
}

// batch is a piece of worker rank's stdout that begins where from ends.
func batch(id run.ID, rank int, from store.Cursor, log string, points ...points.Point) *store.Batch {
	return &store.Batch{
		RunID: id, AllocID: fmt.Sprintf("%s-a%d", id, rank), Stream: "stdout", Rank: rank, Attempt: 1, At: epoch, From: from,
		To:  store.Cursor{File: "f.0", Offset: from.Offset + int64(len(log)), Parser: "{}"},
		Log: []byte(log), Points: points,
	}
}

func testCommit(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	b := batch(id, 0, store.Cursor{}, "one\ntwo\n", points.Point{Metric: "loss", Step: 1, Value: 2, Exact: true})
	b.Events = []run.Event{{RunID: id, At: epoch, Kind: "finished", Rank: 0}}
	must(t, s.Commit(t.Context(), []*store.Batch{b, batch(id, 1, store.Cursor{}, "other\n")}))
	cur, err := s.Cursor(t.Context(), b.AllocID, "stdout")
	must(t, err)
	same(t, "cursor", cur, store.Cursor{File: "f.0", Offset: 8, Parser: "{}", At: epoch})
	next := batch(id, 0, cur, "three\n", points.Point{Metric: "loss", Step: 2, Value: 1})
	next.To.Done = true
	must(t, s.Commit(t.Context(), []*store.Batch{next}))
	if err := s.Commit(t.Context(), []*store.Batch{batch(id, 0, next.To, "more\n")}); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("a batch after the end gave %v", err)
	}
	pts, err := AllPoints(t.Context(), s, id, "loss")
	must(t, err)
	same(t, "points", pts, []points.WorkerPoint{{Step: 1, Value: 2, At: epoch.UnixMilli()}, {Step: 2, Value: 1, At: epoch.UnixMilli()}})
	names, err := s.Metrics(t.Context(), id)
	must(t, err)
	same(t, "metrics", names, []string{"loss"})
	lines, err := s.Logs(t.Context(), id, run.LogQuery{Rank: 0, Limit: 10})
	must(t, err)
	same(t, "lines", texts(lines), "one two three")
	same(t, "lines of the batch", texts(b.Lines()), "one two")
	if b.Lines()[1] != lines[1] {
		t.Errorf("a live line %+v differs from the stored one %+v", b.Lines()[1], lines[1])
	}
	evs, err := s.Events(t.Context(), id, 1, 10)
	must(t, err)
	if len(evs) != 1 || evs[0].Kind != "finished" || evs[0].Seq != b.Events[0].Seq {
		t.Errorf("events are %+v", evs)
	}
}

func texts(lines []run.LogLine) string {
	var out []string
	for _, l := range lines {
		out = append(out, l.Text)
	}
	return strings.Join(out, " ")
}

func testStaleCursor(t *testing.T, s Store) {
	id := create(t, s, "r-0000000001", "a").ID
	first := batch(id, 0, store.Cursor{}, "one\n")
	must(t, s.Commit(t.Context(), []*store.Batch{first}))
	good := batch(id, 1, store.Cursor{}, "good\n")
	for _, from := range []store.Cursor{{}, {File: "f.0", Offset: 3}, {File: "f.1", Offset: 4}} {
		err := s.Commit(t.Context(), []*store.Batch{good, batch(id, 0, from, "twice\n", points.Point{Metric: "loss", Step: 1, Value: 9})})
		if !errors.Is(err, fault.ErrConflict) {
			t.Errorf("from %+v: %v, want a conflict", from, err)
		}
	}
	lines, err := s.Logs(t.Context(), id, run.LogQuery{Rank: -1, Limit: 10})
	must(t, err)
	same(t, "lines", texts(lines), "one")
	if pts, err := AllPoints(t.Context(), s, id, "loss"); err != nil || len(pts) != 0 {
		t.Errorf("points %v, %v", pts, err)
	}
}

func testDeletedRun(t *testing.T, s Store) {
	if err := s.Commit(t.Context(), []*store.Batch{batch("r-0000000009", 0, store.Cursor{}, "ghost\n")}); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("got %v, want not found", err)
	}
}
