package api

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/metricfile"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

// metricsExportPattern is a route whose work is not bounded by [answerTimeout].
const metricsExportPattern = "GET /api/v1/metrics"

// exportRows is how many values are read at once.
const exportRows = 20_000

// exportedRun is a run of an export, with the metrics to export and where its attempts join.
type exportedRun struct {
	id      run.ID
	nodes   int
	metrics []string
	joins   []points.Join
}

// exportMetrics sends values of metrics as a table, by run, metric, worker and step. It takes as long as the reader goes on reading,
// and may see the runs; an error in the middle cuts the connection.
func (s *server) exportMetrics(ctx context.Context, in *client.MetricsExport) (*huma.StreamResponse, error) {
	format, ok := metricfile.ByName(in.Form)
	if !ok {
		return nil, invalid("query", run.FieldError{Field: "format", Value: fault.Quote(in.Form), Rule: "is no format", Fix: "use csv, parquet or jsonl"})
	}
	var runs []exportedRun
	var names []string
	nodes := 0
	for _, name := range slices.Compact(in.Run) {
		r, err := s.exportedRun(ctx, name)
		if err != nil {
			return nil, err
		}
		names = append(names, r.metrics...)
		nodes = max(nodes, r.nodes)
		runs = append(runs, r)
	}
	if in.Worker >= nodes && nodes > 0 {
		return nil, invalid("query", run.FieldError{Field: "worker", Value: strconv.Itoa(in.Worker), Rule: "is the rank of a worker in none of the runs", Fix: fmt.Sprintf("use 0 to %d, or -1 for all", nodes-1)})
	}
	slices.Sort(names)
	if bad := unknownMetrics(in.Metric, slices.Compact(names)); bad != nil {
		return nil, invalid("query", bad...)
	}
	for i := range runs {
		if len(in.Metric) > 0 {
			runs[i].metrics = slices.DeleteFunc(runs[i].metrics, func(m string) bool { return !slices.Contains(in.Metric, m) })
		}
	}
	name := "metrics." + format.Name
	if len(runs) == 1 {
		name = string(runs[0].id) + "-" + name
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		_, w := humago.Unwrap(hc)
		w.Header().Set("Content-Type", format.Media)
		w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
		w.Header().Set("Cache-Control", "no-store")
		c := http.NewResponseController(w)
		_ = c.SetReadDeadline(time.Time{}) // which also ends the request; in-memory connections have none
		table := format.Open(&patientWriter{w, c})
		for _, r := range runs {
			if err := s.writeMetrics(ctx, table, r, in); err != nil {
				s.Logger.WarnContext(ctx, "an export of metrics was cut", "err", err)
				panic(http.ErrAbortHandler)
			}
		}
		if err := table.Close(); err != nil {
			panic(http.ErrAbortHandler) // the client has gone
		}
	}}, nil
}

func (s *server) exportedRun(ctx context.Context, name string) (out exportedRun, err error) {
	r, err := s.find(ctx, name)
	if err != nil {
		return out, err
	}
	out.id, out.nodes = r.ID, r.Shape.Nodes
	if out.metrics, err = s.Details.Metrics(ctx, r.ID); err != nil {
		return out, err
	}
	out.joins, err = s.Details.Joins(ctx, r.ID)
	return out, err
}

// writeMetrics writes a run's values, each metric's with what later attempts replaced after it if that is asked for.
func (s *server) writeMetrics(ctx context.Context, table metricfile.Writer, r exportedRun, in *client.MetricsExport) error {
	for _, metric := range r.metrics {
		err := s.writePages(ctx, table, in, func(after *points.PageCursor) ([]points.WorkerPoint, error) {
			return s.Details.PointsPage(ctx, r.id, metric, in.From, after, exportRows)
		}, func(p points.WorkerPoint) metricfile.Row { return r.row(metric, p) })
		if err != nil {
			return err
		}
		for attempt := 1; in.Replaced && attempt < r.attempts(); attempt++ {
			err := s.writePages(ctx, table, in, func(after *points.PageCursor) ([]points.WorkerPoint, error) {
				return s.Details.ReplacedPage(ctx, r.id, metric, attempt, in.From, after, exportRows)
			}, func(p points.WorkerPoint) metricfile.Row {
				row, reported := r.row(metric, p), int32(attempt) //nolint:gosec // attempts are fewer
				row.Attempt = &reported
				return row
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// writePages writes what it reads page by page. Each page asks again whether who reads may.
func (s *server) writePages(ctx context.Context, table metricfile.Writer, in *client.MetricsExport, read func(after *points.PageCursor) ([]points.WorkerPoint, error), row func(points.WorkerPoint) metricfile.Row) error {
	var after *points.PageCursor
	if in.Worker > 0 {
		after = &points.PageCursor{Rank: in.Worker - 1, Step: math.MaxInt64}
	}
	rows := make([]metricfile.Row, 0, exportRows)
	for {
		page, err := read(after)
		if err != nil {
			return err
		}
		rows = rows[:0]
		for _, p := range page {
			if in.Worker >= 0 && p.Rank != in.Worker {
				break // only those of higher ranks follow
			}
			rows = append(rows, row(p))
		}
		if err := table.Write(rows); err != nil || len(rows) < exportRows {
			return err
		}
		last := page[len(page)-1]
		after = &points.PageCursor{Rank: last.Rank, Step: last.Step}
	}
}

// attempts is the number of the newest attempt that repeated steps, 0 for none.
func (r exportedRun) attempts() (n int) {
	for _, j := range r.joins {
		n = max(n, j.Attempt)
	}
	return n
}

// row is a value as a row. Its attempt is the newest that began at its step or before: it removed what others had reported from there.
func (r exportedRun) row(metric string, p points.WorkerPoint) metricfile.Row {
	row := metricfile.Row{Run: string(r.id), Metric: metric, Worker: int32(p.Rank), Time: p.At, Value: float64(p.Value)} //nolint:gosec // ranks are fewer
	if p.Step > run.MaxStep {
		return row
	}
	attempt := int32(1)
	for _, j := range r.joins {
		if j.From <= p.Step {
			attempt = max(attempt, int32(j.Attempt)) //nolint:gosec // attempts are fewer
		}
	}
	row.Step, row.Attempt = &p.Step, &attempt
	return row
}
