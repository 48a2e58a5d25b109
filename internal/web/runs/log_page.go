package runs

import (
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

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

// Logs shows the newest lines that the page's filter leaves, or those around a line, a step or a moment.
func (p *Pages) Logs(w http.ResponseWriter, r *http.Request) error {
	return p.Tab(w, r, view.TabLogs, func(ctx context.Context, f view.Frame) (templ.Component, error) {
		l := view.Logs{Run: f.Run}
		if err := readFilter(&l, r); err != nil {
			return nil, err
		}
		at, err := p.spotOf(ctx, f.Run.ID, r)
		if err == nil {
			err = p.around(ctx, &l, at)
		}
		if err == nil {
			err = p.places(ctx, &l)
		}
		if err == nil {
			l.Fate, err = p.Store.LogFate(ctx, f.Run.ID)
		}
		return view.LogsTab(l), err
	})
}

// readFilter reads which lines a request wants. A worker that is none is all of them, as addresses of long ago may have it; a pattern that
// is none is told beside its field.
func readFilter(l *view.Logs, r *http.Request) (err error) {
	q := r.URL.Query()
	if rankOf(r) < 0 {
		q.Del("worker")
	}
	l.Filter, err = run.ParseLogFilter(q)
	var bad run.FieldErrors
	if errors.As(err, &bad) && !slices.ContainsFunc(bad, func(e run.FieldError) bool { return e.Field != "q" && e.Field != "hide" }) {
		l.Errors, err = bad, nil
	}
	l.Find, l.Only = l.Filter.Find, q.Get("only") != ""
	if !l.Only || l.Bad("q") {
		l.Filter.Find = run.LogPattern{}
	}
	if l.Bad("hide") {
		l.Filter.Hide = run.LogPattern{}
	}
	return err
}

// around reads the lines before and after a place.
func (p *Pages) around(ctx context.Context, l *view.Logs, s spot) (err error) {
	if l.LogPage, err = p.Store.LogLines(ctx, l.Run.ID, l.Filter, s.LogSpot, logShown); err != nil || len(l.Lines) == 0 {
		return err
	}
	if l.Until = s.until; l.Spot == 0 && (s.Pos > 0 || !s.At.IsZero()) {
		l.Spot = l.Lines[len(l.Lines)-1].Pos // all are before it
	}
	if s.naming != nil {
		if i := slices.IndexFunc(l.Lines, func(line run.LogLine) bool {
			return line.Level != run.LevelMachine && s.naming.MatchString(line.Text)
		}); i >= 0 {
			l.Spot = l.Lines[i].Pos
		}
	}
	return nil
}

// placesShown bounds the events that lead to places in a log.
const placesShown = 60

// places are the run's attempts and the events that people look for in a log.
func (p *Pages) places(ctx context.Context, l *view.Logs) (err error) {
	if l.Attempts, err = p.Store.Attempts(ctx, l.Run.ID); err != nil {
		return err
	}
	l.Attempts = l.Attempts[max(0, len(l.Attempts)-placesShown):]
	events, err := p.Store.EventsBefore(ctx, l.Run.ID, math.MaxInt64, eventsShown)
	for _, e := range events {
		if e.Level == "warning" || e.Level == "error" || strings.Contains(e.Kind, "checkpoint") || strings.Contains(e.Kind, "restart") || e.Kind == "state" && (e.To == run.Running || e.To.Terminal()) {
			l.Events = append(l.Events, e)
		}
	}
	l.Events = l.Events[max(0, len(l.Events)-placesShown):]
	return err
}

// lineRange reads the first line that a request asks for, and the last: ?line=12 or ?line=12-15.
func lineRange(r *http.Request) (from, to run.LogPos, err error) {
	text := r.URL.Query().Get("line")
	if text == "" {
		return 0, 0, nil
	}
	first, last, ranged := strings.Cut(text, "-")
	low, err := page.ParseNumber("line", first, 1, 0, math.MaxInt64)
	if err != nil || !ranged {
		return run.LogPos(low), 0, err
	}
	high, err := page.ParseNumber("line", last, 1, 0, math.MaxInt64)
	return run.LogPos(min(low, high)), run.LogPos(max(low, high)), err
}

// rankOf is the query's worker, -1 for all or if invalid.
func rankOf(r *http.Request) int {
	rank, err := strconv.Atoi(r.URL.Query().Get("worker"))
	if err != nil || rank < 0 || rank > maxRank {
		return -1
	}
	return rank
}
