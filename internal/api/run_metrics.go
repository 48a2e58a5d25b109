package api

import (
	"context"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
)

type readMetricsInput struct {
	ID      string   `path:"id" doc:"ID of the run, such as r-0123456789"`
	Metric  []string `query:"metric,explode" maxItems:"20" doc:"Name of a metric whose values to return; repeat it for more"`
	Mode    string   `query:"mode" enum:"workers,curve" default:"workers" doc:"Every worker's values, or one curve over all workers"`
	From    int64    `query:"from" minimum:"0" doc:"Only from this step on"`
	Buckets int      `query:"buckets" minimum:"0" maximum:"10000" doc:"For curves: about how many points to reduce them to, keeping extremes; 0 for all"`
}

type readMetricsOutput struct {
	Body metricsBody
}

type metricsBody struct {
	Run     run.ID                      `json:"run"`
	Names   []string                    `json:"names" nullable:"false" doc:"All metrics of the run"`
	Metrics map[string][]point          `json:"metrics,omitempty" doc:"By name: values by worker and step; a metric that the run does not have is empty"`
	Curves  map[string][]run.CurvePoint `json:"curves,omitempty" doc:"By name: the curve over all workers"`
}

// point is one value that one worker reported.
type point struct {
	Worker int        `json:"worker" doc:"Rank of the worker"`
	Step   int64      `json:"step"`
	Value  run.Number `json:"value"`
	At     time.Time  `json:"at"`
}

func (s *server) readMetrics(ctx context.Context, in *readMetricsInput) (*readMetricsOutput, error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	body := metricsBody{Run: r.ID}
	names, err := s.Details.Metrics(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	body.Names = notNil(names)
	if in.Mode == "curve" {
		body.Curves, err = s.curves(ctx, r.ID, in)
	} else {
		body.Metrics, err = s.points(ctx, r.ID, in)
	}
	return &readMetricsOutput{body}, err
}

func (s *server) curves(ctx context.Context, id run.ID, in *readMetricsInput) (map[string][]run.CurvePoint, error) {
	out := map[string][]run.CurvePoint{}
	for _, name := range in.Metric {
		curve, err := s.Details.Curve(ctx, id, name, in.From)
		if err != nil {
			return nil, err
		}
		if in.Buckets > 0 {
			// So many points at most, since each bucket becomes a few.
			curve = series.Downsample(curve, max(1, in.Buckets/series.PerBucket))
		}
		out[name] = notNil(curve)
	}
	return out, nil
}

func (s *server) points(ctx context.Context, id run.ID, in *readMetricsInput) (map[string][]point, error) {
	out := map[string][]point{}
	for _, name := range in.Metric {
		stored, err := s.Details.Points(ctx, id, name)
		if err != nil {
			return nil, err
		}
		points := make([]point, 0, len(stored))
		for _, p := range stored {
			if p.Step >= in.From {
				points = append(points, point{p.Rank, p.Step, p.Value, time.UnixMilli(p.At).UTC()})
			}
		}
		out[name] = points
	}
	return out, nil
}
