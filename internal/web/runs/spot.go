package runs

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"regexp"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
)

// spot is where a request opens the log. If naming is set, it is the line near a time that names the step.
type spot struct {
	run.LogSpot
	until  run.LogPos // the last line of a range, 0 for none
	naming *regexp.Regexp
}

// spotOf is what a request for the log asks for, the zero value for its end.
func (p *Pages) spotOf(ctx context.Context, id run.ID, r *http.Request) (s spot, err error) {
	if s.Pos, s.until, err = lineRange(r); err != nil || s.Pos > 0 {
		return s, err
	}
	if r.URL.Query().Get("from") != "" {
		from, err := page.Number(r, "from", 0, 0, math.MaxInt64)
		s.Line = &from
		return s, err
	}
	s.At, err = p.moment(ctx, id, r)
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
