package api

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
	"github.com/cotrain/cotrain/internal/trainconf"
)

type readMetricsInput struct {
	ID string `path:"id" doc:"ID of the run, such as r-0123456789"`
	client.MetricsQuery
}

// metricsQuery is a request for values of one run, with each metric once.
type metricsQuery struct {
	*readMetricsInput
	run     run.ID
	metrics []string
	after   *metricPlace // nil for the first page
}

func newMetricsQuery(id run.ID, in *readMetricsInput) (*metricsQuery, error) {
	q := &metricsQuery{readMetricsInput: in, run: id}
	for _, name := range in.Metric {
		if !slices.Contains(q.metrics, name) {
			q.metrics = append(q.metrics, name)
		}
	}
	if in.Mode == "curve" && in.Worker >= 0 {
		return nil, invalid("query", run.FieldError{Field: "worker", Rule: "does not go together with mode=curve, which is over all workers", Fix: "remove one of them"})
	}
	if in.After != "" {
		at, err := q.place(in.After)
		if err != nil {
			return nil, err
		}
		q.after = &at
	}
	return q, nil
}

func (s *server) readMetrics(ctx context.Context, in *readMetricsInput) (out client.MetricsPage, err error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return out, err
	}
	q, err := newMetricsQuery(r.ID, in)
	if err != nil {
		return out, err
	}
	page := client.MetricsPage{Run: r.ID}
	names, err := s.Details.Metrics(ctx, r.ID)
	if err != nil {
		return out, err
	}
	if err := unreported(r.ID, q.metrics, names); err != nil {
		return out, err
	}
	page.Names = notNil(names)
	switch {
	case in.Mode != "curve":
		page.Metrics, page.Next, err = pageOfMetrics(q, func(name string, after *points.PageCursor, limit int) ([]client.Point, error) {
			return s.points(ctx, q, name, after, limit)
		}, func(p client.Point) points.PageCursor { return points.PageCursor{Rank: p.Worker, Step: p.Step} })
	default:
		page.Curves, page.Next, err = pageOfMetrics(q, func(name string, after *points.PageCursor, limit int) ([]run.CurvePoint, error) {
			return s.curve(ctx, q, name, after, limit)
		}, func(p run.CurvePoint) points.PageCursor { return points.PageCursor{Step: p.Step} })
	}
	return page, err
}

// unreported is an error that matches [fault.ErrNotFound] for a metric that the run has not reported. One that has reported none may yet.
func unreported(id run.ID, asked, names []string) error {
	for _, m := range asked {
		if len(names) == 0 || slices.Contains(names, m) {
			continue
		}
		fix := "Use one of its metrics, such as " + strings.Join(names[:min(len(names), namedMetrics)], ", ") + "; without metric the answer names all."
		if near := trainconf.Near(m, names); len(near) > 0 {
			fix = "Use " + strings.Join(near, " or ") + "; without metric the answer names all."
		}
		return fault.New(fault.ErrNotFound, fmt.Sprintf("The run %s has not reported the metric %s.", id, fault.Quote(m)), fix)
	}
	return nil
}

// pageOfMetrics takes values metric by metric until the page is full. next is "" when there are no more.
func pageOfMetrics[T any](q *metricsQuery, read func(name string, after *points.PageCursor, limit int) ([]T, error), place func(T) points.PageCursor) (page map[string][]T, next string, err error) {
	page = map[string][]T{}
	for _, name := range q.metrics {
		page[name] = []T{}
	}
	last := metricPlace{}
	var after *points.PageCursor
	if q.after != nil {
		last, after = *q.after, &q.after.point
	}
	left := q.Limit
	for i := last.metric; i < len(q.metrics); i++ {
		values, err := read(q.metrics[i], after, left+1) // one more, to know whether there is one
		if err != nil {
			return nil, "", err
		}
		after = nil
		taken := values[:min(len(values), left)]
		if len(taken) > 0 {
			page[q.metrics[i]] = taken
			last = metricPlace{i, place(taken[len(taken)-1])}
		}
		if len(values) > left {
			return page, q.cursor(last), nil
		}
		left -= len(taken)
	}
	return page, "", nil
}

// points reads at most limit values of a metric after a place.
func (s *server) points(ctx context.Context, q *metricsQuery, metric string, after *points.PageCursor, limit int) ([]client.Point, error) {
	if after == nil && q.Worker > 0 {
		after = &points.PageCursor{Rank: q.Worker - 1, Step: math.MaxInt64}
	}
	stored, err := s.Details.PointsPage(ctx, q.run, metric, q.From, after, limit)
	if err != nil {
		return nil, err
	}
	points := make([]client.Point, 0, len(stored))
	for _, p := range stored {
		if q.Worker >= 0 && p.Rank != q.Worker {
			break // only those of higher ranks follow
		}
		points = append(points, client.Point{Worker: p.Rank, Step: p.Step, Value: p.Value, At: time.UnixMilli(p.At).UTC()})
	}
	return points, nil
}

// curve reads at most limit points of a metric's curve after a step.
func (s *server) curve(ctx context.Context, q *metricsQuery, metric string, after *points.PageCursor, limit int) ([]run.CurvePoint, error) {
	from := q.From
	if after != nil {
		if after.Step == math.MaxInt64 {
			return nil, nil
		}
		from = max(from, after.Step+1)
	}
	curve, err := s.Details.Curve(ctx, q.run, metric, from)
	return curve[:min(len(curve), limit)], err
}
