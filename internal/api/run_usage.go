package api

import (
	"context"
	"time"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

// readUsage answers what is known of a run's workers at the moment.
func (s *server) readUsage(ctx context.Context, in *runParam) (out client.UsageList, err error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return out, err
	}
	out.Items = []client.Usage{}
	if r.State.Terminal() {
		return out, nil
	}
	workers, err := s.Details.Workers(ctx, r.ID)
	if err != nil {
		return out, err
	}
	used, err := s.Details.Used(ctx, r.ID, time.Now().Add(-run.UsedFor))
	if err != nil {
		return out, err
	}
	for _, w := range workers {
		if values := used[w.Rank]; len(values) > 0 {
			out.Items = append(out.Items, client.Usage{Rank: w.Rank, Node: w.NodeName, GPUs: len(w.GPUs), Values: values})
		}
	}
	return out, nil
}
