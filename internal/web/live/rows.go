package live

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// rowsType is a message with many runs' newest states, as a list of [Row].
const rowsType = "rows"

// Row is a run's row in a list.
type Row struct {
	ID      run.ID      `json:"id"`
	Sweep   run.SweepID `json:"sweep,omitempty"`
	Badge   string      `json:"badge"`
	Labels  string      `json:"labels,omitempty"` // what people added
	Reason  string      `json:"reason,omitempty"`
	Notice  string      `json:"notice,omitempty"` // the kind of the gravest
	Says    string      `json:"says,omitempty"`   // that notice
	Step    int64       `json:"step"`
	Total   int64       `json:"steps_total"`
	Loss    *run.Number `json:"loss"` // null before the first
	Rate    run.Number  `json:"tokens_per_second"`
	Workers string      `json:"workers"`
	Started int64       `json:"started"` // milliseconds since 1970, 0 before
	Ended   int64       `json:"ended"`
}

// RowOf makes a run's row.
func RowOf(r run.Run) Row {
	row := Row{
		ID: r.ID, Sweep: r.Origin.Sweep, Badge: ui.BadgeOf(r), Labels: ui.LabelsOf(r), Reason: ui.WaitReason(r), Step: r.Progress.Step, Total: r.StepsTotal,
		Rate: run.Number(r.Progress.TokensPerSec), Workers: ui.WorkersText(r),
	}
	kind, says := ui.NoticeOf(r)
	row.Notice, row.Says = string(kind), says
	if r.Progress.HasLoss {
		loss := run.Number(r.Progress.Loss)
		row.Loss = &loss
	}
	if !r.StartedAt.IsZero() {
		row.Started = r.StartedAt.UnixMilli()
	}
	if !r.EndedAt.IsZero() {
		row.Ended = r.EndedAt.UnixMilli()
	}
	return row
}

// rowsOf makes states one message of rows, with the queue places that states lack.
func (s *Server) rowsOf(ctx context.Context, states []feed.Message) (outgoing, error) {
	runs := make([]run.Run, len(states))
	for i, m := range states {
		if err := json.Unmarshal(m.Data, &runs[i]); err != nil {
			return outgoing{}, fmt.Errorf("state of %s: %w", m.Topic, err)
		}
	}
	last := states[len(states)-1]
	slices.SortFunc(runs, func(a, b run.Run) int { return cmp.Compare(a.ID, b.ID) })
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.o.Runs.SetQueuePlaces(ctx, runs); err != nil {
		s.o.Logger.Warn("queue places for the socket", "topic", last.Topic, "err", err)
	}
	rows := make([]Row, len(runs))
	for i, r := range runs {
		rows[i] = RowOf(r)
	}
	return outgoing{Topic: last.Topic, Seq: last.Seq, Type: rowsType, Data: rows}, nil
}
