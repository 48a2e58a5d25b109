package live

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// rowsType is a message with many runs' newest states, as a list of [Row].
const rowsType = "rows"

// The shortest time between such messages: 500 training runs change 500 times a second.
const (
	rowsEvery    = time.Second
	rowsEveryRow = 4 * time.Millisecond // plus this per row
)

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

// manyRuns reports whether a topic has many runs' states.
func manyRuns(topic string) bool {
	return topic == feed.RunsTopic || strings.HasPrefix(topic, feed.RunsOf("")) || strings.HasPrefix(topic, feed.SweepTopic(""))
}

// heldRows are unsent states, the newest per run.
type heldRows struct {
	topics map[string]*topicRows
	due    time.Time // when to send
}

type topicRows struct {
	seq  int64
	runs map[run.ID]run.Run
}

// take holds a state for the next message, if the topic has many runs.
func (h *heldRows) take(m feed.Message) (bool, error) {
	if m.Type != feed.State || !manyRuns(m.Topic) {
		return false, nil
	}
	var r run.Run
	if err := json.Unmarshal(m.Data, &r); err != nil {
		return false, fmt.Errorf("state of %s: %w", m.Topic, err)
	}
	if len(h.topics) == 0 {
		h.topics = map[string]*topicRows{}
	}
	t := h.topics[m.Topic]
	if t == nil {
		t = &topicRows{runs: map[run.ID]run.Run{}}
		h.topics[m.Topic] = t
	}
	t.seq, t.runs[r.ID] = m.Seq, r
	return true, nil
}

// next waits for messages, or until rows are due; then there may be none.
func (h *heldRows) next(ctx context.Context, sub *feed.Subscription) ([]feed.Message, error) {
	if len(h.topics) == 0 {
		return sub.Next(ctx)
	}
	wait, cancel := context.WithDeadline(ctx, h.due)
	defer cancel()
	batch, err := sub.Next(wait)
	if err != nil && wait.Err() != nil && ctx.Err() == nil {
		return nil, nil
	}
	return batch, err
}

// release returns a topic's held rows, or nil.
func (h *heldRows) release(topic string, now time.Time) *topicRows {
	t := h.topics[topic]
	if t != nil {
		delete(h.topics, topic)
		h.due = now.Add(rowsEvery + time.Duration(len(t.runs))*rowsEveryRow)
	}
	return t
}

// rowsMessage reads the queue places, which states lack.
func (s *Server) rowsMessage(ctx context.Context, topic string, t *topicRows) outgoing {
	runs := slices.SortedFunc(maps.Values(t.runs), func(a, b run.Run) int { return cmp.Compare(a.ID, b.ID) })
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.o.Runs.SetQueuePlaces(ctx, runs); err != nil {
		s.o.Logger.Warn("lines for the socket", "topic", topic, "err", err)
	}
	rows := make([]Row, len(runs))
	for i, r := range runs {
		rows[i] = RowOf(r)
	}
	return outgoing{Topic: topic, Seq: t.seq, Type: rowsType, Data: rows}
}

// sendRows sends rows that are due.
func (c *socket) sendRows(ctx context.Context, held *heldRows) error {
	now := time.Now()
	if now.Before(held.due) {
		return nil
	}
	for topic := range held.topics {
		if err := c.send(c.server.rowsMessage(ctx, topic, held.release(topic, now))); err != nil {
			return err
		}
	}
	return nil
}
