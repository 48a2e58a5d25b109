package runs

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/runs"
)

const machine = "COTRAIN {" // starts lines that the page folds

// spot is where a request opens the log: at a line, at a time or, if naming is set, at the line near it that names the step.
type spot struct {
	line   run.LogPos // the one itself, 0 for none
	at     time.Time
	naming *regexp.Regexp
}

// spotOf is what a request for the log asks for, the zero value for its end.
func (p *Pages) spotOf(ctx context.Context, id run.ID, r *http.Request) (s spot, err error) {
	line, err := page.Number(r, "line", 0, 0, math.MaxInt64)
	if s.line = run.LogPos(line); err != nil || s.line > 0 {
		return s, err
	}
	s.at, err = p.moment(ctx, id, r)
	if step := r.URL.Query().Get("step"); err == nil && step != "" {
		s.naming, err = regexp.Compile(`(?i)\b(step|iter|iteration)\W{1,4}` + regexp.QuoteMeta(step) + `\b`)
	}
	return s, err
}

// moment is the time that a request asks for, or when the step was reported that it asks for; zero for neither.
func (p *Pages) moment(ctx context.Context, id run.ID, r *http.Request) (at time.Time, err error) {
	q := r.URL.Query()
	if text := q.Get("at"); text != "" {
		if at, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return at, run.FieldErrors{{Field: "at", Value: page.Text(text, 40), Rule: "is not a time", Fix: "use 2026-05-06T07:08:09Z"}}
		}
		return at, nil
	}
	if q.Get("step") == "" {
		return at, nil
	}
	step, err := page.Number(r, "step", 0, 0, run.MaxStep)
	if err != nil {
		return at, err
	}
	names, err := p.Store.Metrics(ctx, id)
	if err != nil {
		return at, err
	}
	for _, metric := range append([]string{cmp.Or(q.Get("metric"), "loss")}, names...) {
		err := p.Store.Each(ctx, id, metric, -1, step, run.MaxStep, func(c run.CurvePoint) bool { at = c.At; return false })
		if err != nil || !at.IsZero() {
			return at, err
		}
	}
	return at, nil
}

// around reads the lines before and after a spot.
func (p *Pages) around(ctx context.Context, l *view.Logs, s spot) error {
	const half = logShown / 2
	q := run.LogQuery{Rank: l.Rank, Tail: true, Limit: 1}
	newest, err := p.Store.Logs(ctx, l.Run.ID, q)
	if err != nil || len(newest) == 0 {
		return err
	}
	// The line that is sought is the first after low: lines are stored in the order in which they came.
	low, high := run.LogPos(0), newest[0].Pos
	if s.line > 0 {
		low, high = s.line-1, s.line-1
	}
	for low < high {
		middle := low + (high-low)/2
		next, err := p.Store.Logs(ctx, l.Run.ID, run.LogQuery{Rank: l.Rank, After: middle, Limit: 1})
		switch {
		case err != nil:
			return err
		case len(next) == 0 || !next[0].At.Before(s.at):
			high = middle
		default:
			low = next[0].Pos
		}
	}
	before, err := p.Store.Logs(ctx, l.Run.ID, run.LogQuery{Rank: l.Rank, Tail: true, Before: min(low, math.MaxInt64-1) + 1, Limit: half + 1})
	if err != nil {
		return err
	}
	after, err := p.Store.Logs(ctx, l.Run.ID, run.LogQuery{Rank: l.Rank, After: low, Limit: half + 1})
	if l.More = len(before) > half; l.More {
		before = before[1:]
	}
	if l.Later = len(after) > half; l.Later {
		after = after[:half]
	}
	l.Lines, l.Spot = append(before, after...), newest[0].Pos
	if len(after) > 0 {
		l.Spot = after[0].Pos
	}
	if s.naming != nil {
		if i := slices.IndexFunc(l.Lines, func(line run.LogLine) bool {
			return !strings.HasPrefix(line.Text, machine) && s.naming.MatchString(line.Text)
		}); i >= 0 {
			l.Spot = l.Lines[i].Pos
		}
	}
	return err
}
