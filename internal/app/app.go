package app

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/consul"
	"github.com/cotrain/cotrain/internal/control"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/inbound"
	"github.com/cotrain/cotrain/internal/ingest"
	"github.com/cotrain/cotrain/internal/localnomad"
	"github.com/cotrain/cotrain/internal/machines"
	"github.com/cotrain/cotrain/internal/metrics"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/queue"
	"github.com/cotrain/cotrain/internal/retention"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/siterules"
	"github.com/cotrain/cotrain/internal/status"
	"github.com/cotrain/cotrain/internal/storage"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/stream"
	"github.com/cotrain/cotrain/internal/survey"
	"github.com/cotrain/cotrain/internal/watch"
	"github.com/cotrain/cotrain/internal/web"
)

// Options is given by the program around an App.
type Options struct {
	Logger     *slog.Logger // required
	Version    string
	Executable string // this program, with which the embedded agent starts trainers

	refusals int // in the audit log at once, of a user and action; 0 for as many as audit says
}

// App is one console. New acquires, Start works, Stop ends everything in reverse order.
type App struct {
	o         Options
	cfg       config.Config
	log       *slog.Logger
	secrets   *secrets
	rules     *siterules.Rules // of diagnosis
	hub       *feed.Hub
	health    *health
	metrics   *metrics.Metrics
	front     inbound.Front
	listener  net.Listener
	stream    *stream.Server
	pages     *web.Server
	server    *http.Server
	certs     certificate        // nil without TLS
	redirect  *redirect          // nil for none
	agent     *localnomad.Server // nil without Dev
	nomad     *nomad.Client
	consul    *consul.Client // nil for none
	discovery *discovery     // nil where Nomad's servers are named
	actions   *control.Control
	survey    *survey.Survey
	machines  *machines.Sampler
	ingest    *ingest.Ingest
	store     *store.Store
	refusals  *audit.Refusals  // appends to the audit log
	storage   *storage.Storage // nil for none
	logIns    *auth.Service    // with Dev nobody logs in, and projects are managed all the same
	loops     []loop

	distances atomic.Pointer[run.Distances] // nil before the first estimate
	catalog   atomic.Pointer[run.Catalog]   // of Consul, nil before its first answer

	ctx      context.Context // ends with the loops; its cause is a loop's error
	end      context.CancelCauseFunc
	running  sync.WaitGroup // the loops
	teardown []step
	stop     sync.Once
	stopped  error // result of Stop
}

// New opens and wires everything; nothing runs yet. On an error it releases all. An address in use matches
// syscall.EADDRINUSE.
func New(ctx context.Context, cfg config.Config, o Options) (app *App, err error) {
	hub := feed.NewHub(time.Now)
	cfg, secrets, err := readSecrets(ctx, cfg, o.Logger.With("part", "vault"))
	if err != nil {
		return nil, err
	}
	a := &App{secrets: secrets, o: o, cfg: cfg, log: o.Logger, hub: hub, health: newHealth(hub, o.Logger, cfg.Database.URL != "")}
	a.ctx, a.end = context.WithCancelCause(context.WithoutCancel(ctx))
	a.metrics = metrics.New(metrics.Options{Version: o.Version, State: a.metricsState, Logger: o.Logger.With("part", "metrics")})
	defer func() {
		if err != nil {
			limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepGrace)
			defer cancel()
			app, err = nil, errors.Join(err, a.Stop(limit))
		}
	}()
	a.acquired("vault", func(ctx context.Context) error {
		a.secrets.close(ctx)
		return nil
	})
	if err := a.openTransport(ctx); err != nil {
		return nil, err
	}
	if err := a.openStore(ctx); err != nil {
		return nil, err
	}
	a.refusals = audit.NewRefusals(a.store.Audit, cmp.Or(o.refusals, audit.RefusalsAtOnce), time.Now)
	if err := a.openLogIns(ctx); err != nil {
		return nil, err
	}
	if err := a.openStorage(ctx); err != nil {
		return nil, err
	}
	if err := a.openConsul(); err != nil {
		return nil, err
	}
	client, err := a.openNomad()
	if err != nil {
		return nil, err
	}
	a.nomad = client
	a.acquired("nomad client", func(context.Context) error { client.Close(); return nil })
	return a, a.wire(client)
}

// openNomad returns a client of the cluster or of a new embedded agent.
func (a *App) openNomad() (*nomad.Client, error) {
	c := nomadConfig(a.cfg, jobSettings(a.cfg, a.mount(), a.o.Executable), a.log)
	c.JobFile = a.health.setJobFile
	if !a.cfg.Dev {
		if service, tag, scheme, ok := a.cfg.Nomad.Discovery(); ok {
			a.discovery = newDiscovery(service, tag, scheme)
			c.Servers = a.discovery.servers
		}
		return nomad.New(c)
	}
	var err error
	a.agent, err = localnomad.New(localnomad.Options{
		DataDir: filepath.Join(a.cfg.DataDir, "agent"), Nodes: a.cfg.DevNodes, SimulatedGPUs: a.cfg.DevGPUs,
		VariablesKey: string(a.cfg.DevVariablesKey), Clocks: a.cfg.DevSkews(), Logger: a.log.With("part", "agent"),
	})
	if err != nil {
		return nil, err
	}
	a.acquired("embedded agent", a.agent.Stop)
	// Never a TCP port: whoever reaches the agent runs commands.
	c.Address, c.Token, c.Namespace, c.Region = "", "", "", ""
	c.CACert, c.ClientCert, c.ClientKey, c.TLSServerName, c.SkipVerify = "", "", "", "", false
	c.HTTPClient = &http.Client{Transport: &http.Transport{DialContext: a.agent.DialContext, MaxIdleConnsPerHost: 32}}
	return nomad.New(c)
}

// nomadConfig is how the settings say that Nomad is reached.
func nomadConfig(cfg config.Config, job nomad.JobSettings, log *slog.Logger) nomad.Config {
	n := cfg.Nomad
	return nomad.Config{
		Address: n.Address, Token: string(n.Token), Namespace: n.Namespace, Region: n.Region, CACert: n.CACert, ClientCert: n.ClientCert, ClientKey: n.ClientKey,
		TLSServerName: n.TLSServerName, SkipVerify: n.SkipVerify, Job: job, Logger: log.With("part", "nomad"),
		ConsulNames: cfg.Consul.Address != "" && !cfg.Dev,
	}
}

// jobSettings are the job file's variables. mount is shared storage as workers see it; with Dev executable trains.
func jobSettings(cfg config.Config, mount, executable string) nomad.JobSettings {
	j := nomad.JobSettings{
		File: cfg.Job.File, Driver: cfg.Job.Driver, Image: cfg.Job.Image, WorkDir: cfg.Job.WorkDir, Interface: cfg.Job.Interface,
		NodePool: cfg.Job.NodePool, Datacenters: cfg.Job.Datacenters, KillTimeout: cfg.Job.KillTimeout,
		Command: cfg.Job.TrainCommand, Trainer: cfg.Job.Trainer, Volumes: cfg.Job.Volumes, Storage: mount, StorageVolume: cfg.Storage.Volume,
		VaultRole: cfg.Job.VaultRole, MeasureCommand: cfg.Job.MeasureCommand, MeasureImage: cfg.Job.MeasureImage,
	}
	if cfg.Dev {
		j.MeasureCommand = []string{executable}
	}
	if cfg.Dev && len(j.Command) == 0 && j.Trainer == "" {
		j.Command = []string{executable, "trainer"}
	}
	if signal := dumpSignal(cfg); signal != "" { // the launch script has torchrun pass it on
		j.Env = map[string]string{"COTRAIN_DUMP_SIGNAL": signal}
	}
	return j
}

// dumpSignal is the signal on which workers print their stacks, "" for none.
func dumpSignal(cfg config.Config) string {
	if cfg.Job.DumpSignal == "" && cfg.Dev && len(cfg.Job.TrainCommand) == 0 && cfg.Job.Trainer == "" {
		return "SIGQUIT" // the reference trainer's
	}
	return cfg.Job.DumpSignal
}

func (a *App) wire(client *nomad.Client) error {
	now := time.Now
	hub, health := counting{a.hub, a.metrics}, a.health
	part := func(name string) *slog.Logger { return a.log.With("part", name) }

	a.machines = machines.New(machines.Options{Cluster: client, Store: a.store, Logger: part("machines"), Now: now})
	var watcher *watch.Watcher
	in := ingest.New(ingest.Options{Tailer: client, Statuses: a.followStatuses(), Store: a.store, Publisher: hub, Logger: part("ingest"), Now: now, Health: health.setStore, Archive: health.setArchive, Formats: a.cfg.SiteFormats(), Pulse: func(b *store.Batch) {
		watcher.Pulse(b)
		a.machines.Hear(b)
		a.countStored(b)
	}})
	a.ingest = in
	q := queue.New(queue.Options{
		Cluster: client, Store: a.store, Publisher: hub, Logger: part("queue"), Now: now, Dispatched: func(id run.ID) { watcher.ReconcileSoon(id) },
		Checkpoints: a.checkpoints(),
	})
	rules, err := siterules.New(siterules.Options{Store: a.store, Logger: part("rules"), Now: now})
	if err != nil {
		return err
	}
	a.rules = rules
	watcher = watch.New(watch.Options{
		Cluster: client, Store: a.store, Logs: in, Machines: a.machines, Publisher: hub, Logger: part("watch"), Now: now, Rules: rules, Health: health.setNomad,
		Released: func(run.ID) { q.Wake() }, Changed: q.Changed, Checkpoints: a.checkpoints(), DumpSignal: dumpSignal(a.cfg),
	})
	a.actions = control.New(control.Options{
		Store: a.store, Queue: q, Cluster: client, Logs: in, Publisher: hub, Logger: part("control"), Now: now, ReconcileSoon: watcher.ReconcileSoon,
		Storage: a.controlStorage(), Projects: a.logIns, Vault: a.secrets.finder(), KillTimeout: a.killTimeout(),
	})
	a.survey = survey.New(survey.Options{Cluster: client, Store: a.store, Logger: part("survey"), Now: now})
	if err := a.survey.Load(a.ctx); err != nil {
		return err
	}
	a.loops = append(a.loops, []loop{
		{"survey", a.survey.Run}, {"machines", a.machines.Run},
		{"ingest", in.Run}, {"watch", watcher.Run}, {"queue", q.Run}, {"control", a.actions.Run},
		{"tidy", a.tidy}, {"job file", client.WatchJobFile}, {"database", a.watchDatabase},
		{"certificate", a.watchCertificate}, {"archive", a.watchArchive},
		{"retention", retention.New(retention.Options{Store: a.store, Limits: a.logLimits, Publisher: hub, Logger: part("retention"), Now: now}).Run},
	}...)
	a.loops = append(a.loops, loop{"status", status.New(status.Options{Store: a.store, Feed: hub, Files: a.statusFiles(), Logger: part("status"), Now: now}).Run})
	if a.storage != nil {
		a.loops = append(a.loops, loop{"mirror of logs", status.NewMirror(status.MirrorOptions{Store: a.store, Files: files{a.storage}, Usual: a.cfg.Storage.MirrorLogs, Logger: part("status")}).Run})
	}
	if a.secrets.vault != nil {
		a.secrets.follow(client.SetToken)
		a.loops = append(a.loops, loop{"vault", func(ctx context.Context) error { return a.secrets.vault.Run(ctx, health.setVault) }})
	}
	auditing, err := a.auditLoops()
	if err != nil {
		return err
	}
	a.loops = append(a.loops, auditing...)

	if err := a.openPages(client); err != nil {
		return err
	}
	a.server = a.newServer(a.pages.Handler())
	a.server.RegisterOnShutdown(a.stream.End) // an event stream is a request under way
	a.acquired("pages", a.pages.Close)
	return nil
}
