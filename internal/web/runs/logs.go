package runs

import (
	"context"
	"math"
	"net/http"
	"strconv"

	"github.com/a-h/templ"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/runs"
)

const (
	logShown   = 300
	maxLogPage = 2000
	maxRank    = 1 << 20
)

// Logs shows the newest lines, or those around a step or a moment, of all workers or one.
func (p *Pages) Logs(w http.ResponseWriter, r *http.Request) error {
	return p.Tab(w, r, view.TabLogs, func(ctx context.Context, f view.Frame) (templ.Component, error) {
		l := view.Logs{Run: f.Run, Rank: rankOf(r)}
		if at, err := p.spotOf(ctx, f.Run.ID, r); err != nil || at.line > 0 || !at.at.IsZero() {
			if err == nil {
				err = p.around(ctx, &l, at)
			}
			return view.LogsTab(l), err
		}
		lines, err := p.Store.Logs(ctx, f.Run.ID, run.LogQuery{Rank: l.Rank, Tail: true, Limit: logShown + 1})
		l.More = len(lines) > logShown
		l.Lines = lines[max(0, len(lines)-logShown):]
		return view.LogsTab(l), err
	})
}

// Lines returns lines as JSON: the newest, those before a position, or those after one (after=0: the first). More says
// whether there are others beyond them.
func (p *Pages) Lines(w http.ResponseWriter, r *http.Request) error {
	found, err := p.run(r)
	if err != nil {
		return err
	}
	q := run.LogQuery{Rank: rankOf(r), Tail: true}
	limit, err := page.Number(r, "limit", logShown, 1, maxLogPage)
	if err != nil {
		return err
	}
	before, err := page.Number(r, "before", 0, 0, math.MaxInt64)
	if err != nil {
		return err
	}
	q.Limit, q.Before = int(limit)+1, run.LogPos(before)
	if r.URL.Query().Has("after") {
		after, err := page.Number(r, "after", 0, 0, math.MaxInt64)
		if err != nil {
			return err
		}
		q.Tail, q.After = false, run.LogPos(after)
	}
	lines, err := p.Store.Logs(r.Context(), found.ID, q)
	if err != nil {
		return err
	}
	more := len(lines) > int(limit)
	switch {
	case more && q.Tail:
		lines = lines[1:]
	case more:
		lines = lines[:limit]
	}
	if lines == nil {
		lines = []run.LogLine{}
	}
	return page.JSON(w, http.StatusOK, map[string]any{"lines": lines, "more": more})
}

// rankOf is the query's worker, -1 for all or if invalid.
func rankOf(r *http.Request) int {
	rank, err := strconv.Atoi(r.URL.Query().Get("worker"))
	if err != nil || rank < 0 || rank > maxRank {
		return -1
	}
	return rank
}
