package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/consul"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad/failover"
	"github.com/cotrain/cotrain/internal/run"
)

// distancesEvery is how often round trips are estimated again. Consul's own estimates settle in minutes.
const distancesEvery = time.Minute

// knownWithin is how long the start waits for Consul to say where Nomad is.
const knownWithin = 2 * time.Second

// openConsul makes a client of Consul where there is one, and the loops that follow it.
func (a *App) openConsul() error {
	if a.cfg.Dev || a.cfg.Consul.Address == "" {
		return nil
	}
	var err error
	if a.consul, err = consulClient(a.cfg.Consul, a.log); err != nil {
		return err
	}
	a.acquired("consul client", func(context.Context) error { a.consul.Close(); return nil })
	a.loops = append(a.loops, loop{"distances", a.watchDistances}, loop{"catalog", func(ctx context.Context) error {
		return a.consul.WatchCatalog(ctx, func(c run.Catalog) { a.catalog.Store(&c) })
	}})
	return nil
}

func consulClient(c config.Consul, log *slog.Logger) (*consul.Client, error) {
	return consul.New(consul.Config{
		Address: c.Address, Token: string(c.Token), Datacenters: c.Datacenters, CACert: c.CACert, ClientCert: c.ClientCert, ClientKey: c.ClientKey,
		TLSServerName: c.TLSServerName, Namespace: c.Namespace, Partition: c.Partition, Logger: log.With("part", "consul"),
	})
}

// discovery is the servers of Nomad that Consul knows. The last ones stay known.
type discovery struct {
	query  consul.Query
	scheme string
	found  atomic.Pointer[[]failover.Server]
	err    atomic.Pointer[error] // why there are none

	asked func() // closes known
	known <-chan struct{}
}

func newDiscovery(service, tag, scheme string) *discovery {
	known := make(chan struct{})
	d := &discovery{query: consul.Query{Service: service, Tag: tag}, scheme: scheme, known: known, asked: sync.OnceFunc(func() { close(known) })}
	d.fail(fault.New(fault.ErrNomadUnreachable, "Consul has not been asked for servers of Nomad yet.", "Wait a moment."))
	return d
}

func (d *discovery) fail(err error) { d.err.Store(&err) }

func (d *discovery) servers() ([]failover.Server, error) {
	if found := d.found.Load(); found != nil {
		return *found, nil
	}
	return nil, *d.err.Load()
}

// take keeps what was found, and returns what an operator should know.
func (d *discovery) take(f consul.Found) error {
	defer d.asked()
	var servers []failover.Server
	for _, i := range f.Instances {
		servers = append(servers, failover.Server{Address: d.scheme + "://" + net.JoinHostPort(i.Address, strconv.Itoa(i.Port)), Datacenter: i.Datacenter})
	}
	if len(servers) > 0 {
		d.found.Store(&servers)
		return f.Err
	}
	err := f.Err
	if err == nil {
		what := "Consul knows no healthy instance of the service " + d.query.Service
		if d.query.Tag != "" {
			what += " with the tag " + d.query.Tag
		}
		err = fault.New(fault.ErrUnavailable, what+".", "Check nomad.address (NOMAD_ADDR), that Nomad's servers register themselves (consul catalog services -tags), and that the token (CONSUL_HTTP_TOKEN) may see them.")
	}
	f2 := fault.Of(err)
	d.fail(fault.New(fault.ErrNomadUnreachable, f2.What, f2.Fix).Because(err))
	return err
}

// followServers follows Consul's catalog. It waits a moment for the first answer, so that what begins next knows servers.
func (a *App) followServers(ctx context.Context) {
	d := a.discovery
	if d == nil {
		return
	}
	a.launch(loop{"servers of Nomad", func(ctx context.Context) error {
		return a.consul.Watch(ctx, d.query, func(f consul.Found) { a.health.setConsul("servers", d.take(f)) })
	}})
	ctx, cancel := context.WithTimeout(ctx, knownWithin)
	defer cancel()
	select {
	case <-d.known:
	case <-ctx.Done():
	}
}

// registration is the console as Consul is to know it.
func (a *App) registration() (consul.Registration, error) {
	host, port, err := net.SplitHostPort(cmp.Or(a.cfg.Consul.ServiceAddress, a.Addr()))
	if err != nil {
		return consul.Registration{}, err
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "" // that of the agent's machine, which is this one
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return consul.Registration{}, err
	}
	name, err := os.Hostname()
	if err != nil {
		return consul.Registration{}, err
	}
	r := consul.Registration{
		ID: a.cfg.Consul.Service + "-" + name + "-" + port, Name: a.cfg.Consul.Service, Address: host, Port: number, Tags: a.cfg.Consul.ServiceTags,
		Meta: map[string]string{"version": a.o.Version, "url": a.url()},
	}
	at := net.JoinHostPort(cmp.Or(host, "127.0.0.1"), port)
	switch {
	case a.cfg.TLS.ClientCA != "": // the agent has no certificate for it
		r.Check.TCP = at
	case a.certs != nil:
		r.Check.URL = "https://" + at + a.front.Base() + "/healthz"
	default:
		r.Check.URL = "http://" + at + a.front.Base() + "/healthz"
	}
	if a.front.Public != nil {
		r.Check.Host = a.front.Public.Host
	}
	return r, nil
}

// keepRegistered registers the console until teardown, which comes before that of the web server.
func (a *App) keepRegistered() error {
	if a.consul == nil || a.cfg.Consul.Service == "" {
		return nil
	}
	r, err := a.registration()
	if err != nil {
		return fmt.Errorf("register in Consul: %w", err)
	}
	ctx, cancel := context.WithCancel(a.ctx)
	var keeping sync.WaitGroup
	keeping.Go(func() {
		err := a.consul.Keep(ctx, r, func(err error) { a.health.setConsul("service", err) })
		a.log.Info("no longer in Consul", "part", "consul", "id", r.ID, "err", err)
	})
	a.acquired("service in Consul", func(context.Context) error { cancel(); keeping.Wait(); return nil })
	return nil
}

// watchDistances estimates round trips between sites.
func (a *App) watchDistances(ctx context.Context) error {
	tick := time.NewTicker(distancesEvery)
	defer tick.Stop()
	for {
		m, err := a.consul.Coordinates(ctx)
		now := run.Distances{}
		if before := a.distances.Load(); before != nil {
			now = *before
		}
		if err == nil {
			now = distancesOf(m)
			err = m.Err
		}
		now.Problem = ""
		if err != nil {
			now.Problem = fault.Of(err).Text()
		}
		if ctx.Err() == nil {
			a.distances.Store(&now)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// distancesOf is the matrix of all sites.
func distancesOf(m consul.Map) run.Distances {
	d := run.Distances{At: m.At}
	for _, places := range [][]consul.Place{m.Servers, m.Nodes} {
		for _, p := range places {
			if !slices.Contains(d.Sites, p.Datacenter) {
				d.Sites = append(d.Sites, p.Datacenter)
			}
		}
	}
	slices.Sort(d.Sites)
	for _, from := range d.Sites {
		var row []time.Duration
		for _, to := range d.Sites {
			rtt, ok := m.Sites(from, to)
			if !ok {
				rtt = -1
			}
			row = append(row, rtt)
		}
		d.RoundTrips = append(d.RoundTrips, row)
	}
	return d
}
