package api

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/measure"
)

// Survey has the cluster measured.
type Survey interface {
	// Measure is [fault.ErrConflict] while another measurement goes on; a choice that cannot be measured is [run.FieldErrors].
	Measure(ctx context.Context, c measure.Choice) (measure.Measurement, error)
	// StopMeasurement is [fault.ErrConflict] when it has ended.
	StopMeasurement(ctx context.Context, id string) (measure.Measurement, error)
	Measured(ctx context.Context) (*measure.Known, error)
}

func (s *server) startMeasurement(ctx context.Context, in *struct{ Body client.MeasureInput }) (measure.Measurement, error) {
	return s.Survey.Measure(ctx, measure.Choice{Nodes: in.Body.Nodes, Site: in.Body.Site})
}

func (s *server) stopMeasurement(ctx context.Context, in *struct {
	ID string `path:"id" maxLength:"100"`
},
) (measure.Measurement, error) {
	return s.Survey.StopMeasurement(ctx, in.ID)
}

func (s *server) getMeasurements(ctx context.Context, _ *struct{}) (out client.Measured, err error) {
	known, err := s.Survey.Measured(ctx)
	if err != nil {
		return out, err
	}
	if known.Last.ID != "" {
		out.Last = &known.Last
	}
	out.Nodes, out.Problems = notNil(known.Matrix.Reports), notNil(known.Problems)
	return out, nil
}
