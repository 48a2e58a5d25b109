package app

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/cotrain/cotrain/docs"
	"github.com/cotrain/cotrain/internal/api"
	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/guard"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/rounds"
	"github.com/cotrain/cotrain/internal/stream"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/help"
	"github.com/cotrain/cotrain/internal/web/storage"
	"github.com/cotrain/cotrain/static"
)

// chartBytes is what the cache of answers to charts may take: some thousand of them.
const chartBytes = 64 << 20

// openPages makes the pages and the API. What they read and do goes through the guard.
func (a *App) openPages(client *nomad.Client) error {
	assets, err := static.New()
	if err != nil {
		return err
	}
	library, err := help.NewLibrary(docs.Files())
	if err != nil {
		return err
	}
	g := guard.New(guard.Options{Store: a.store, Control: a.actions, Survey: a.survey, Audit: a.refusals, Projects: a.logIns.ProjectNames, Settings: a.logIns.Settings, Logger: a.log.With("part", "guard"), Now: time.Now})
	cache, made := chart.NewCache(chartBytes, rand.Text()), rounds.NewCache()
	pages := web.Deps{
		Cache: cache, Rounds: made,
		Auth: auth.Local{}, Guard: g, Store: g, Control: g, Survey: g, Secrets: g.Registry(), Causes: g.SiteRules(a.rules), Audit: a.store.Audit, Feed: a.hub, Assets: assets, Help: library,
		Ready: func(ctx context.Context) error {
			_, err := client.Ping(ctx)
			return errors.Join(err, a.store.Ping(ctx))
		},
		System: a.health.system, Logger: a.log.With("part", "web"), Now: time.Now, Dev: a.cfg.Dev, Front: a.front,
		Metrics: a.metrics, Servers: client.Servers, Distances: a.distances.Load, Catalog: a.catalog.Load,
	}
	data := api.Deps{
		Cache: cache, Rounds: made,
		Guard: g, Runs: g, Details: g, Actions: g, Templates: g, Sweeps: g, Launches: g, Survey: g, Audit: a.store.Audit, Admin: a.logIns, Secrets: g.Registry(), Causes: g.SiteRules(a.rules),
		Catalog: a.catalog.Load,
		System:  a.health.system, Logger: a.log.With("part", "api"), Version: a.o.Version, Base: a.front.Base(),
	}
	if a.front.Public != nil {
		data.PublicURL = a.front.Public.String()
	}
	if a.storage != nil {
		all := g.Storages(a.storage, func(folder string) guard.Files { return a.storage.In(folder) })
		pages.Storage = func(ctx context.Context, project string) (storage.Storage, error) { return all.In(ctx, project) }
		data.Storage = func(ctx context.Context, project string) (api.Storage, error) { return all.In(ctx, project) }
	}
	a.loops = append(a.loops, loop{"log-ins", a.logIns.Run})
	pages.Admin, pages.Projects = a.logIns, a.logIns.ProjectNames
	if !a.cfg.Dev {
		pages.Auth, pages.Accounts, data.Accounts, data.Programs = a.logIns, a.logIns, a.logIns, a.logIns
	}
	following := stream.Options{Feed: a.hub, Guard: g, Auth: pages.Auth, Logger: a.log.With("part", "stream"), Limits: stream.Limits{Connections: a.cfg.Live.Connections, PerUser: a.cfg.Live.PerUser}}
	if a.cfg.Dev { // where everybody is one user
		following.Limits.PerUser = 0
	}
	a.stream = stream.New(following)
	pages.Stream, data.Stream = a.stream, a.stream
	pages.API = api.New(data)
	a.pages = web.New(pages)
	return nil
}
