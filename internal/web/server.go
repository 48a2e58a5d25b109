package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/static"
)

// Runs reads runs.
type Runs interface {
	// Run returns a run, or an error that matches [fault.ErrNotFound].
	Run(ctx context.Context, id run.ID) (run.Run, error)
	// Runs returns those that match, newest first.
	Runs(ctx context.Context, f run.RunFilter) ([]run.Run, error)
	// Lines tells of those that wait for their turn where they stand.
	Lines(ctx context.Context, runs []run.Run) error
	// CountRuns counts those that match by state.
	CountRuns(ctx context.Context, f run.RunFilter) (map[run.State]int, error)
	// BestRun returns the run of a sweep with the lowest loss, or an error that matches [fault.ErrNotFound].
	BestRun(ctx context.Context, id run.SweepID) (run.Run, error)
}

// Details reads what belongs to one run.
type Details interface {
	// Workers returns those of the newest attempt, by rank.
	Workers(ctx context.Context, id run.ID) ([]run.Worker, error)
	// EventsBefore returns up to limit events, the newest before a sequence, oldest first.
	EventsBefore(ctx context.Context, id run.ID, before int64, limit int) ([]run.Event, error)
	// Curve returns a metric over all workers by step.
	Curve(ctx context.Context, id run.ID, metric string, fromStep int64) ([]run.CurvePoint, error)
	// Logs returns lines, oldest first.
	Logs(ctx context.Context, id run.ID, q run.LogQuery) ([]run.LogLine, error)
}

// Actions is what a person can do.
type Actions interface {
	// Submit makes a run; what is not valid is [run.FieldErrors].
	Submit(ctx context.Context, actor string, s run.Submission) (run.Run, error)
	// Stop and Delete return an error that matches [fault.ErrConflict] when the state does not allow it.
	Stop(ctx context.Context, actor string, id run.ID) error
	Delete(ctx context.Context, actor string, id run.ID) error
	// Nodes returns the nodes of the cluster.
	Nodes(ctx context.Context) ([]run.Node, error)
	// MeasureGPUs adds what the nodes' GPUs are doing.
	MeasureGPUs(ctx context.Context, nodes []run.Node)
}

// Templates is the own templates; the presets are trainconf's.
type Templates interface {
	// Templates returns the newest version of each, by name.
	Templates(ctx context.Context) ([]run.Template, error)
	// Template returns a version, 0 for the newest.
	Template(ctx context.Context, name string, version int) (run.Template, error)
	// TemplateVersions returns every version, newest first.
	TemplateVersions(ctx context.Context, name string) ([]run.Template, error)
	// SaveTemplate makes the version after follows (0: the first); the same content makes none. What is not valid is
	// [run.FieldErrors], and when follows is not the newest it is [run.OutdatedError]; [run.AnyVersion] follows any.
	SaveTemplate(ctx context.Context, actor string, t run.Template, follows int) (run.Template, error)
	DeleteTemplate(ctx context.Context, actor, name string) error
}

// Sweeps is the groups of runs that differ in a few fields.
type Sweeps interface {
	// SubmitSweep makes a sweep and its runs; what is not valid is [run.FieldErrors].
	SubmitSweep(ctx context.Context, actor string, s run.SweepSpec) (run.Sweep, error)
	Sweep(ctx context.Context, id run.SweepID) (run.Sweep, error)
	// Sweeps returns up to limit, newest first, older than before ("" for the newest).
	Sweeps(ctx context.Context, before run.SweepID, limit int) ([]run.Sweep, error)
	StopSweep(ctx context.Context, actor string, id run.SweepID) error
	// DeleteSweep returns an error that matches [fault.ErrConflict] while one of its runs has not ended.
	DeleteSweep(ctx context.Context, actor string, id run.SweepID) error
}

// Launches tells exactly what would start, or started, a run's workers. Nomad away is [fault.ErrUnavailable].
type Launches interface {
	Launch(ctx context.Context, id run.ID) (run.Launch, error)
	LaunchOf(ctx context.Context, s run.Submission) (run.Launch, error)
}

// Feed is the hub that live pages follow.
type Feed interface {
	Subscribe(since map[string]int64) *feed.Subscription
	Seq(topic string) int64
}

// Deps is what the pages are made from. Storage, API, Ready and System may be nil; everything else is needed.
type Deps struct {
	Runs      Runs
	Details   Details
	Actions   Actions
	Feed      Feed
	Templates Templates
	Sweeps    Sweeps
	Launches  Launches
	DryRuns   DryRuns
	Storage   Storage // nil when shared storage is off
	Assets    *static.Assets
	API       http.Handler                    // mounted at /api/
	Ready     func(ctx context.Context) error // nil when the console can do its work
	System    func() feed.System              // the state of what the console depends on, now
	Logger    *slog.Logger
	Now       func() time.Time
	Dev       bool // adds the page of components
}

// actor is who acts, until there is a log-in.
const actor = "local"

// Server answers browsers.
type Server struct {
	Deps
	handler   http.Handler
	fragments *fragmentCache
	slots     chan struct{} // one for each open socket

	closing sync.Mutex      // held while a socket is counted or the server ends
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	sockets sync.WaitGroup
}

// New returns a Server; it panics when a needed dependency is missing, which is a mistake in the wiring.
func New(d Deps) *Server {
	if d.Runs == nil || d.Details == nil || d.Actions == nil || d.Templates == nil || d.Sweeps == nil || d.Launches == nil || d.DryRuns == nil ||
		d.Feed == nil || d.Assets == nil || d.Logger == nil || d.Now == nil {
		panic("web: a dependency is missing")
	}
	s := &Server{Deps: d, fragments: newFragmentCache(), slots: make(chan struct{}, maxSockets)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.handler = s.routes()
	return s
}

// Handler answers every path. It must be served by an [http.Server], which tells it at which address a request came in.
func (s *Server) Handler() http.Handler { return s.handler }

// Close ends every open socket and waits until they have ended, or ctx does.
func (s *Server) Close(ctx context.Context) error {
	s.closing.Lock()
	s.cancel()
	s.closing.Unlock()
	done := make(chan struct{})
	go func() { // ends when the sockets have, which the cancel above makes them do
		s.sockets.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.Join(errors.New("sockets are still open"), ctx.Err())
	}
}

// enter counts a new socket, unless the server has ended.
func (s *Server) enter() bool {
	s.closing.Lock()
	defer s.closing.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.sockets.Add(1)
	return true
}
