package web

import (
	"context"
	"math"
	"net/http"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views"
)

const (
	logShown = 300
	maxRank  = 1 << 20
)

// handleRunShow shows one run, with the newest events or those before a sequence.
func (s *Server) handleRunShow(w http.ResponseWriter, r *http.Request) error {
	before, err := number(r, "events_before", 0, 0, math.MaxInt64)
	if err != nil {
		return err
	}
	d, err := s.runDetail(r, before)
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
	d, err := s.runDetail(r, 0)
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, views.RunLive(d))
}

// runDetail reads a run with its workers and a page of its events. The sequence is read first: what follows includes at
// least everything up to it.
func (s *Server) runDetail(r *http.Request, eventsBefore int64) (views.RunDetail, error) {
	id, err := runID(r)
	if err != nil {
		return views.RunDetail{}, err
	}
	d := views.RunDetail{Seq: s.Feed.Seq(feed.RunTopic(id)), Now: s.Now()}
	g, ctx := errgroup.WithContext(r.Context())
	read := func(f func(context.Context) error) { g.Go(func() error { return f(ctx) }) }
	read(func(ctx context.Context) (err error) { d.Run, err = s.placedRun(ctx, id); return })
	read(func(ctx context.Context) (err error) { d.Workers, err = s.Details.Workers(ctx, id); return })
	read(func(ctx context.Context) (err error) { d.History, err = s.eventPage(ctx, id, eventsBefore); return })
	if err := g.Wait(); err != nil {
		return views.RunDetail{}, err
	}
	return d, nil
}

// placedRun reads a run, with its place in the queue while it waits there.
func (s *Server) placedRun(ctx context.Context, id run.ID) (run.Run, error) {
	r, err := s.Runs.Run(ctx, id)
	if err != nil {
		return r, err
	}
	runs := []run.Run{r}
	err = s.Runs.Lines(ctx, runs)
	return runs[0], err
}

// rankOf is the worker that the query asks for, -1 for all of them; what makes no sense is all of them too.
func rankOf(r *http.Request) int {
	rank, err := strconv.Atoi(r.URL.Query().Get("worker"))
	if err != nil || rank < 0 || rank > maxRank {
		return -1
	}
	return rank
}
