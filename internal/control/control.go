package control

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Store is the part of the store that control uses.
type Store interface {
	Runs
	Templates
	Sweeps
	Registry
}

// Runs is the part of the store about runs.
type Runs interface {
	CreateRun(ctx context.Context, r run.Run, key string, evs ...run.Event) (run.Run, bool, error)
	Run(ctx context.Context, id run.ID) (run.Run, error)
	RunByKey(ctx context.Context, project, key string) (run.Run, error)
	Runs(ctx context.Context, f run.RunFilter) ([]run.Run, error)
	RunsAtNomad(ctx context.Context) ([]run.Run, error)
	Attempts(ctx context.Context, id run.ID) ([]run.Attempt, error)
	RunOfJob(ctx context.Context, jobID string) (run.ID, error)
	Update(ctx context.Context, id run.ID, fn func(*store.Update) error) (store.Update, error)
	DeleteRun(ctx context.Context, id run.ID) error
	SavedCheckpoints(ctx context.Context, id run.ID) ([]run.SavedCheckpoint, error)
	Workers(ctx context.Context, id run.ID) ([]run.Worker, error)
	EventsBefore(ctx context.Context, id run.ID, before int64, limit int) ([]run.Event, error)
}

// Templates is the part of the store about templates.
type Templates interface {
	SaveTemplate(ctx context.Context, t run.Template, follows int) (run.Template, error)
	Template(ctx context.Context, project, name string, version int) (run.Template, error)
	Templates(ctx context.Context, in run.Projects) ([]run.Template, error)
	TemplateVersions(ctx context.Context, project, name string) ([]run.Template, error)
	DeleteTemplate(ctx context.Context, project, name string) error
}

// Sweeps is the part of the store about sweeps.
type Sweeps interface {
	CreateSweep(ctx context.Context, sw run.Sweep, key string, runs []run.Run, evs []run.Event) (run.Sweep, bool, error)
	Sweep(ctx context.Context, id run.SweepID) (run.Sweep, error)
	SweepByKey(ctx context.Context, project, key string) (run.Sweep, error)
	Sweeps(ctx context.Context, in run.Projects, before run.SweepID, limit int) ([]run.Sweep, error)
	StopSweep(ctx context.Context, id run.SweepID, fn func(*store.Update) error) ([]store.Update, error)
	DeleteSweep(ctx context.Context, id run.SweepID) error
}

// Registry is the part of the store about registered secrets.
type Registry interface {
	Secrets(ctx context.Context) ([]run.Secret, error)
	RegisterSecret(ctx context.Context, s run.Secret) error
	ChangeSecret(ctx context.Context, s run.Secret) error
	RemoveSecret(ctx context.Context, name string) error
}

// Queue sends runs to Nomad; see package queue.
type Queue interface{ Wake() }

// Cluster is the part of [nomad.Client] that control uses.
type Cluster interface {
	Stop(ctx context.Context, childID string) error
	Nodes(ctx context.Context) ([]run.Node, error)
	GPUUses(ctx context.Context) (map[string][]run.GPUUse, error)
	NodeUsage(ctx context.Context, nodeID string) (run.NodeUsage, error)
	KillLimit(ctx context.Context, nodeIDs []string) (limit time.Duration, node string)
	Planner
	Variables
}

// Planner answers what would happen, without changing anything.
type Planner interface {
	Plan(ctx context.Context, shape run.Shape, priority int) (fits bool, reason string, places []run.Place, err error)
	Job(ctx context.Context, shape run.Shape) (parentID string, job json.RawMessage, state run.ParentState, err error)
	Launch(ctx context.Context, shape run.Shape, d nomad.Dispatch) (run.Launch, error)
}

// Variables are those of Nomad, whose values are never read; see [nomad.Client.FindVariable].
type Variables interface {
	FindVariable(ctx context.Context, namespace, path, field string) error
	PutVariable(ctx context.Context, namespace, path, field, value string) error
	NamespaceOf(namespace string) string
}

// Vault tells what is there, and never reads values; see [vault.Client.Find].
type Vault interface {
	Find(ctx context.Context, path, field string) error
}

// Logs stops following a deleted run; see package ingest.
type Logs interface{ Forget(id run.ID) }

// Publisher informs viewers; see [feed.Hub].
type Publisher interface {
	Publish(topic, typ string, data any)
	PublishRun(r run.Run, evs ...run.Event)
	PublishMany(sweep run.SweepID)
	PublishDeleted(r run.Run)
}

// Storage checks the paths of a configuration, where they can be seen; see package storage.
type Storage interface {
	CheckPaths(ctx context.Context, c trainconf.Config, shape run.Shape) (errs, warns run.FieldErrors)
	// CheckpointProblem says what is wrong with a checkpoint, where its folder can be seen; see [storage.Storage.CheckpointProblem].
	CheckpointProblem(ctx context.Context, folder string, shape run.Shape, diloco bool) (what string, known bool, err error)
	// Below maps a path of a run of a project with that folder to one of shared storage.
	Below(folder, given string) (string, bool)
}

// Projects tells what is set for the runs of a project; see [auth.Service.Settings].
type Projects interface {
	Settings(project string) access.Settings
	ProjectNames(ctx context.Context) []string
}

// Options configures [New]. Only Storage, Projects and Vault are optional.
type Options struct {
	Store         Store
	Queue         Queue
	Cluster       Cluster
	Logs          Logs
	Publisher     Publisher
	Logger        *slog.Logger
	Now           func() time.Time
	ReconcileSoon func(run.ID) // asks the watcher to compare a run with Nomad soon; must not block
	Storage       Storage      // nil for none
	Projects      Projects     // nil where nothing is set for any
	Vault         Vault        // nil for none
	// KillTimeout is how long workers have to save when they are stopped; 0 if it is not known.
	KillTimeout time.Duration
}

// Control performs the actions on runs, templates and sweeps.
type Control struct {
	o          Options
	folders    sync.Mutex // held between checking folders and storing the run
	unrecorded *unrecorded

	spans   sync.Mutex
	spanned time.Time // up to here milliseconds are given to sweeps; see [Control.span]
}

// New returns a Control.
func New(o Options) *Control { return &Control{o: o, unrecorded: newUnrecorded()} }
