package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/api"
	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/control"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/ingest"
	"github.com/cotrain/cotrain/internal/localnomad"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/queue"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/storage"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/watch"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/static"
)

// Options is what the program around an App gives it.
type Options struct {
	Logger     *slog.Logger // required
	Version    string
	Executable string // path of this program, which the embedded agent starts trainers with
}

// App is one console. New acquires, Start begins to work, Stop ends everything in reverse order.
type App struct {
	o        Options
	cfg      config.Config
	log      *slog.Logger
	listener net.Listener
	server   *http.Server
	agent    *localnomad.Server // nil without Dev
	actions  *control.Control
	store    *store.Store
	storage  *storage.Storage // nil when there is none
	loops    []loop
	group    *errgroup.Group
	cancel   context.CancelFunc
	failed   context.Context // done when a loop fails
	teardown []step
}

// loop is a part that works until its context ends.
type loop struct {
	name string
	run  func(context.Context) error
}

// step is one thing to undo.
type step struct {
	name string
	undo func(context.Context) error
}

// HTTP time-outs. Sockets and streams are taken over from the server and have their own.
const (
	readHeaderTimeout = 5 * time.Second
	idleTimeout       = 2 * time.Minute
)

// workingMargin is how long the last lines of a run may take to be stored once its workers have ended or were killed.
const workingMargin = 5 * time.Second

// New opens the store and the listener and wires everything; nothing runs yet. On an error everything that it acquired is
// released. An address in use is an error that matches syscall.EADDRINUSE.
func New(ctx context.Context, cfg config.Config, o Options) (app *App, err error) {
	a := &App{o: o, cfg: cfg, log: o.Logger}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.undo(context.WithoutCancel(ctx)))
		}
	}()
	if a.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen); err != nil {
		return nil, fmt.Errorf("listen at %s: %w; choose another address with COTRAIN_LISTEN", cfg.Listen, err)
	}
	a.acquired("listener", func(context.Context) error { return ignoreClosed(a.listener.Close()) })
	if a.store, err = store.Open(ctx, cfg.DataDir); err != nil {
		return nil, err
	}
	a.acquired("store", func(context.Context) error { return a.store.Close() })
	if err := a.openStorage(ctx); err != nil {
		return nil, err
	}
	client, err := a.openNomad()
	if err != nil {
		return nil, err
	}
	a.acquired("nomad client", func(context.Context) error { client.Close(); return nil })
	return a, a.wire(client)
}

// openNomad returns a client of the cluster, or of the embedded agent that it then makes.
func (a *App) openNomad() (*nomad.Client, error) {
	job, err := a.jobSettings()
	if err != nil {
		return nil, err
	}
	c := nomad.Config{
		Address: a.cfg.Nomad.Address, Token: string(a.cfg.Nomad.Token), Namespace: a.cfg.Nomad.Namespace, Region: a.cfg.Nomad.Region,
		CACert: a.cfg.Nomad.CACert, ClientCert: a.cfg.Nomad.ClientCert, ClientKey: a.cfg.Nomad.ClientKey,
		TLSServerName: a.cfg.Nomad.TLSServerName, SkipVerify: a.cfg.Nomad.SkipVerify,
		Job: job, Logger: a.log.With("part", "nomad"),
	}
	if !a.cfg.Dev {
		return nomad.New(c)
	}
	gpus := a.cfg.DevGPUs
	if gpus == 0 {
		gpus = -1 // the agent's zero is its default
	}
	a.agent, err = localnomad.New(localnomad.Options{
		DataDir: filepath.Join(a.cfg.DataDir, "agent"), Nodes: a.cfg.DevNodes, GPUsPerNode: gpus, Logger: a.log.With("part", "agent"),
	})
	if err != nil {
		return nil, err
	}
	// Never a TCP port: whoever reaches the agent runs commands.
	c.Address, c.Token, c.Namespace, c.Region = "", "", "", ""
	c.CACert, c.ClientCert, c.ClientKey, c.TLSServerName, c.SkipVerify = "", "", "", "", false
	c.HTTPClient = &http.Client{Transport: &http.Transport{DialContext: a.agent.DialContext, MaxIdleConnsPerHost: 32}}
	return nomad.New(c)
}

func (a *App) jobSettings() (nomad.JobSettings, error) {
	j := nomad.JobSettings{
		Driver: a.cfg.Job.Driver, Image: a.cfg.Job.Image, WorkDir: a.cfg.Job.WorkDir, Interface: a.cfg.Job.Interface,
		NodePool: a.cfg.Job.NodePool, Datacenters: a.cfg.Job.Datacenters, KillTimeout: a.cfg.Job.KillTimeout,
		Command: a.cfg.Job.TrainCommand, Trainer: a.cfg.Job.Trainer, Volumes: a.cfg.Job.Volumes,
		Storage: a.mount(), StorageVolume: a.cfg.Storage.Volume,
	}
	if a.cfg.Job.File != "" {
		var err error
		if j.File, err = os.ReadFile(a.cfg.Job.File); err != nil {
			return j, fmt.Errorf("job file: %w", err)
		}
	}
	if a.cfg.Dev && len(j.Command) == 0 {
		j.Command = []string{a.o.Executable, "trainer"}
	}
	return j, nil
}

// wire connects the parts; see the picture in the architecture.
func (a *App) wire(client *nomad.Client) error {
	now := time.Now
	hub := feed.NewHub(now)
	health := newHealth(hub, a.log)
	part := func(name string) *slog.Logger { return a.log.With("part", name) }

	in := ingest.New(ingest.Options{Tailer: client, Store: a.store, Publisher: hub, Logger: part("ingest"), Now: now, Health: health.setStore})
	var watcher *watch.Watcher
	q := queue.New(queue.Options{
		Cluster: client, Store: a.store, Publisher: hub, Logger: part("queue"), Now: now, Dispatched: func(id run.ID) { watcher.Look(id) },
		Checkpoints: a.queueCheckpoints(),
	})
	watcher = watch.New(watch.Options{
		Cluster: client, Store: a.store, Logs: in, Publisher: hub, Logger: part("watch"), Now: now, Health: health.setNomad,
		Released: func(run.ID) { q.Wake() },
	})
	a.actions = control.New(control.Options{
		Store: a.store, Queue: q, Cluster: client, Logs: in, Publisher: hub, Logger: part("control"), Now: now, Look: watcher.Look,
		Storage: a.controlStorage(),
	})
	a.loops = []loop{
		{"ingest", in.Run}, {"watch", watcher.Run}, {"queue", q.Run},
		{"tidy", func(ctx context.Context) error { return notCancelled(ctx, a.store.Tidy(ctx)) }},
	}

	assets, err := static.New()
	if err != nil {
		return err
	}
	pages := web.New(web.Deps{
		Runs: a.store, Details: a.store, Actions: a.actions, Templates: a.actions, Sweeps: a.actions, Launches: a.actions, DryRuns: a.actions, Storage: a.webStorage(), Feed: hub, Assets: assets,
		API: api.New(api.Deps{
			Runs: a.store, Details: a.store, Actions: a.actions, Templates: a.actions, Sweeps: a.actions, Launches: a.actions, Storage: a.apiStorage(), Logger: part("api"), Version: a.o.Version,
		}),
		Ready: func(ctx context.Context) error {
			_, err := client.Ping(ctx)
			return errors.Join(err, a.store.Ping(ctx))
		},
		System: health.system, Logger: part("web"), Now: now, Dev: a.cfg.Dev,
	})
	a.server = &http.Server{
		Handler: pages.Handler(), ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(part("web").Handler(), slog.LevelDebug),
	}
	a.acquired("pages", pages.Close)
	return nil
}

func (a *App) acquired(name string, undo func(context.Context) error) {
	a.teardown = append(a.teardown, step{name, undo})
}

// undo runs the teardown, newest first.
func (a *App) undo(ctx context.Context) error {
	var errs []error
	for _, s := range slices.Backward(a.teardown) {
		if err := s.undo(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", s.name, err))
		}
	}
	a.teardown = nil
	return errors.Join(errs...)
}

// Start begins to serve and to work. It returns at once; see [App.Wait].
func (a *App) Start(ctx context.Context) error {
	if a.agent != nil {
		if err := a.agent.Start(ctx); err != nil {
			return fmt.Errorf("start the embedded agent: %w", err)
		}
		a.acquired("embedded agent", a.agent.Stop)
	}
	ctx, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	a.group, a.failed = errgroup.WithContext(ctx)
	for _, l := range a.loops {
		a.group.Go(func() error {
			if err := l.run(a.failed); err != nil {
				return fmt.Errorf("%s: %w", l.name, err)
			}
			return nil
		})
	}
	a.acquired("loops", func(context.Context) error { a.cancel(); return a.group.Wait() })
	a.group.Go(func() error {
		if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve: %w", err)
		}
		return nil
	})
	a.acquired("web server", a.server.Shutdown)
	if a.agent != nil {
		a.acquired("working runs", a.stopWorking)
	}
	a.log.Info("listening", "addr", a.Addr(), "url", "http://"+a.Addr(), "version", a.o.Version, "dev", a.cfg.Dev)
	return nil
}

// stopWorking ends the runs that end with the embedded agent as a person would, so that none of them has failed.
func (a *App) stopWorking(ctx context.Context) error {
	if a.failed.Err() != nil {
		return nil // nobody is left to see them end
	}
	a.agent.Cordon()
	ctx, cancel := context.WithTimeout(ctx, a.cfg.Job.KillTimeout+workingMargin)
	defer cancel()
	if err := a.actions.StopWorking(ctx); err != nil {
		a.log.Warn("runs are stopped with the agent", "err", err)
	}
	return nil
}

// Addr is the address that the console listens at.
func (a *App) Addr() string { return a.listener.Addr().String() }

// Wait returns when ctx ends, with nil, or when a part fails, with its error.
func (a *App) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-a.failed.Done():
		a.cancel()
		return a.group.Wait()
	}
}

// Stop ends everything: first no new requests, then the flows, then the agent with its tasks, then the store.
func (a *App) Stop(ctx context.Context) error { return a.undo(ctx) }

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func notCancelled(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
