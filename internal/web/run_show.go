package web

import (
	"context"
	"net/http"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views"
)

const (
	eventsShown = 200
	logShown    = 300
	maxRank     = 1 << 20
)

// handleRunShow shows one run.
func (s *Server) handleRunShow(w http.ResponseWriter, r *http.Request) error {
	d, err := s.runDetail(r)
	if err != nil {
		return err
	}
	d.Origin = s.originOf(r.Context(), d.Run)
	rank := rankOf(r)
	lines, err := s.Details.Logs(r.Context(), d.Run.ID, run.LogQuery{Rank: rank, Tail: true, Limit: logShown + 1})
	if err != nil {
		return err
	}
	d.Log = views.LogView{Rank: rank, Lines: lines}
	if len(lines) > logShown {
		d.Log.Lines, d.Log.More = lines[len(lines)-logShown:], true
	}
	return s.render(w, r, http.StatusOK, views.RunPage(s.page(r, d.Run.Name, "runs"), d))
}

// handleRunLive is the snapshot of every live part, for a page that may have missed something.
func (s *Server) handleRunLive(w http.ResponseWriter, r *http.Request) error {
	d, err := s.runDetail(r)
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, views.RunLive(d))
}

// runDetail reads a run with its workers and newest events. The sequence is read first: what follows includes at
// least everything up to it.
func (s *Server) runDetail(r *http.Request) (views.RunDetail, error) {
	id, err := runID(r)
	if err != nil {
		return views.RunDetail{}, err
	}
	d := views.RunDetail{Seq: s.Feed.Seq(feed.RunTopic(id)), Now: s.Now()}
	g, ctx := errgroup.WithContext(r.Context())
	read := func(f func(context.Context) error) { g.Go(func() error { return f(ctx) }) }
	read(func(ctx context.Context) (err error) { d.Run, err = s.Runs.Run(ctx, id); return })
	read(func(ctx context.Context) (err error) { d.Workers, err = s.Details.Workers(ctx, id); return })
	read(func(ctx context.Context) (err error) {
		d.Events, err = s.Details.Events(ctx, id, -1, eventsShown+1)
		return
	})
	if err := g.Wait(); err != nil {
		return views.RunDetail{}, err
	}
	if len(d.Events) > eventsShown {
		d.Events, d.EventsCut = d.Events[len(d.Events)-eventsShown:], true
	}
	return d, nil
}

// rankOf is the worker that the query asks for, -1 for all of them; what makes no sense is all of them too.
func rankOf(r *http.Request) int {
	rank, err := strconv.Atoi(r.URL.Query().Get("worker"))
	if err != nil || rank < 0 || rank > maxRank {
		return -1
	}
	return rank
}
