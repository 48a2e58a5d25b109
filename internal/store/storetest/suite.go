package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

// Store is everything that callers use of a store.
type Store interface {
	CreateRun(ctx context.Context, r run.Run, key string, evs ...run.Event) (run.Run, bool, error)
	Run(ctx context.Context, id run.ID) (run.Run, error)
	Runs(ctx context.Context, f run.RunFilter) ([]run.Run, error)
	RunsAtNomad(ctx context.Context) ([]run.Run, error)
	CountRuns(ctx context.Context, f run.RunFilter) (run.Counts, error)
	SaveProgress(ctx context.Context, id run.ID, p run.Progress) error
	Update(ctx context.Context, id run.ID, fn func(*store.Update) error) (store.Update, error)
	Attempts(ctx context.Context, id run.ID) ([]run.Attempt, error)
	RunOfJob(ctx context.Context, jobID string) (run.ID, error)
	Workers(ctx context.Context, id run.ID) ([]run.Worker, error)
	Events(ctx context.Context, id run.ID, after int64, limit int) ([]run.Event, error)
	EventsBefore(ctx context.Context, id run.ID, before int64, limit int) ([]run.Event, error)
	Cursor(ctx context.Context, allocID, stream string) (store.Cursor, error)
	Commit(ctx context.Context, batches []*store.Batch) error
	ExitReports(ctx context.Context, id run.ID) (map[string]run.ExitReport, error)
	Metrics(ctx context.Context, id run.ID) ([]string, error)
	PointsPage(ctx context.Context, id run.ID, metric string, from int64, after *points.PageCursor, limit int) ([]points.WorkerPoint, error)
	ReplacedPage(ctx context.Context, id run.ID, metric string, attempt int, from int64, after *points.PageCursor, limit int) ([]points.WorkerPoint, error)
	SealPoints(ctx context.Context) (bool, error)
	Curve(ctx context.Context, id run.ID, metric string, fromStep int64) ([]run.CurvePoint, error)
	RollUp(ctx context.Context, id run.ID) (points.RollUp, bool, error)
	Summarize(ctx context.Context, now time.Time) (bool, error)
	RunMetrics(ctx context.Context, id run.ID) ([]points.Summary, error)
	Joins(ctx context.Context, id run.ID) ([]points.Join, error)
	View(ctx context.Context, id run.ID, metric string, q points.ViewQuery) (series.View, error)
	Each(ctx context.Context, id run.ID, metric string, worker int, from, to int64, take func(run.CurvePoint) bool) error
	StaleCurves(ctx context.Context) ([]run.ID, error)
	Headline(ctx context.Context, id run.ID) (run.Progress, error)
	Logs(ctx context.Context, id run.ID, q run.LogQuery) ([]run.LogLine, error)
	LogMap(ctx context.Context, id run.ID, f run.LogFilter) (run.LogMap, error)
	LogLines(ctx context.Context, id run.ID, f run.LogFilter, at run.LogSpot, limit int) (run.LogPage, error)
	FindLog(ctx context.Context, id run.ID, f run.LogFilter, from run.LogPos, back bool) (run.LogLine, bool, error)
	SearchLog(ctx context.Context, id run.ID, f run.LogFilter, tell func(run.LogFound) error) error
	EachLog(ctx context.Context, id run.ID, f run.LogFilter, from run.LogPos, fn func(run.RawLine) error) error
	EachLogAround(ctx context.Context, id run.ID, f run.LogFilter, from run.LogPos, lines int, fn func(run.RawLine) error) error
	Seal(ctx context.Context, id run.ID, atLeast int) error
	UnsealedRuns(ctx context.Context, atLeast int) ([]run.ID, error)
	LeftUnsealed(ctx context.Context, before time.Time) ([]run.ID, error)
	DeleteRun(ctx context.Context, id run.ID) error
	Tidy(ctx context.Context) error
	SavedCheckpoints(ctx context.Context, id run.ID) ([]run.SavedCheckpoint, error)
	Dispatching(ctx context.Context) ([]run.ID, error)
	Expired(ctx context.Context, now time.Time) ([]run.ID, error)
	ReleaseDue(ctx context.Context, now time.Time) error
	ReadyGroups(ctx context.Context) ([]store.ReadyGroup, error)
	ReadyOf(ctx context.Context, g store.ReadyGroup, limit int) ([]store.ReadyRun, error)
	Unplaced(ctx context.Context) ([]store.Unplaced, error)
	SetQueuePlaces(ctx context.Context, runs []run.Run) error
	ReadyWithOtherReason(ctx context.Context, sweep run.SweepID, reason string) ([]run.ID, error)
	SetWaitReason(ctx context.Context, reason string, ids []run.ID) error
	CreateProject(ctx context.Context, p access.Project) error
	SaveTemplate(ctx context.Context, t run.Template, follows int) (run.Template, error)
	RunByKey(ctx context.Context, project, key string) (run.Run, error)
	SweepByKey(ctx context.Context, project, key string) (run.Sweep, error)
	Template(ctx context.Context, project, name string, version int) (run.Template, error)
	Templates(ctx context.Context, in run.Projects) ([]run.Template, error)
	TemplateVersions(ctx context.Context, project, name string) ([]run.Template, error)
	DeleteTemplate(ctx context.Context, project, name string) error
	Secrets(ctx context.Context) ([]run.Secret, error)
	RegisterSecret(ctx context.Context, secret run.Secret) error
	ChangeSecret(ctx context.Context, secret run.Secret) error
	RemoveSecret(ctx context.Context, name string) error
	CreateSweep(ctx context.Context, sw run.Sweep, key string, runs []run.Run, evs []run.Event) (run.Sweep, bool, error)
	Sweep(ctx context.Context, id run.SweepID) (run.Sweep, error)
	BestRun(ctx context.Context, id run.SweepID) (run.Run, error)
	Sweeps(ctx context.Context, in run.Projects, before run.SweepID, limit int) ([]run.Sweep, error)
	StopSweep(ctx context.Context, id run.SweepID, fn func(*store.Update) error) ([]store.Update, error)
	DeleteSweep(ctx context.Context, id run.SweepID) error
	NewOrders() <-chan struct{}
	Orders(ctx context.Context) ([]store.Order, error)
	CompleteOrder(ctx context.Context, o store.Order) error
	StartMeasurement(ctx context.Context, m measure.Measurement) error
	SaveMeasurement(ctx context.Context, m measure.Measurement, reports []measure.Report, known map[string]bool) error
	NewestMeasurement(ctx context.Context) (measure.Measurement, error)
	MeasuredNodes(ctx context.Context) ([]measure.Report, error)
	Layout(ctx context.Context, project string, user access.UserID, page run.LayoutPage) (string, error)
	SetLayout(ctx context.Context, project string, user access.UserID, page run.LayoutPage, data string) error
	ListRuns(ctx context.Context, f run.RunFilter) (run.Page, error)
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
		"a taken ID is a conflict":                                testTakenID,
		"runs are listed newest first, filtered and paged":        testList,
		"lists are filtered and sorted as a model says":           Lists,
		"tags, notes and archive change":                          testEdits,
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
		"what a filter leaves of a log":                           testLogLines,
		"a search of a log ends when it is told to":               testLogSearchEnds,
		"sealing waits for enough and keeps other runs out of it": testSeal,
		"many batches at once lose nothing":                       testConcurrent,
		"deleting removes a run and nothing else":                 testDelete,
		"options and origin of a run come back":                   testOptions,
		"runs are found by tag and description":                   testWords,
		"a search finds what has its words":                       testSearch,
		"secrets are registered, changed and removed":             testSecrets,
		"an attempt keeps its secrets, and a run its shape":       testAttemptSecrets,
		"a retry's count, wait and resume survive":                testRetry,
		"what people asked of a run survives":                     testActions,
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
		"a layout is a user's, or else the project's":             testLayouts,
		"notices and rollbacks are kept until they are over":      testWatched,
		"orders are kept until they are done":                     testOrders,
		"what another project owns is not found":                  testProjects,
		"names and keys are unique in a project":                  testProjectsNames,
		"the queue names no run of another project":               testQueueOfProjects,
		"any text can be stored, the same everywhere":             testTexts,
		"names have the order of their bytes":                     testOrder,
		"the cluster is measured once at a time":                  testMeasurements,
		"of measurements started at once one wins":                testMeasurementsAtOnce,
		"what a node measured stays until it measures it again":   testMeasuredNodes,
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
		ID: run.ID(id), Project: "default", Owner: "ann", Name: name, Preset: "debug", Config: "x = 1\n", State: run.Queued, CreatedAt: epoch,
		Shape: run.Shape{Nodes: 2, CPU: 100, Memory: 300}, StepsTotal: 20, InnerSteps: 5,
	}
}

func create(t *testing.T, s Store, id, name string) run.Run {
	t.Helper()
	r := newRun(id, name)
	stored, created, err := s.CreateRun(t.Context(), r, "", run.Event{RunID: r.ID, At: epoch, Kind: "state", Actor: "test", To: run.Queued, Rank: -1})
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
