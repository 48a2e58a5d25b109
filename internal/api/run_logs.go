package api

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

type readLogsInput struct {
	ID string `path:"id" doc:"ID of the run, such as r-0123456789"`
	client.LogsQuery
}

func (s *server) readLogs(ctx context.Context, in *readLogsInput) (out client.LogPage, err error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return out, err
	}
	q := run.LogQuery{Rank: in.Worker, After: run.LogPos(in.After), Before: run.LogPos(in.Before), Limit: in.Limit}
	if q.Tail, err = backwards(in.After, in.Before, in.Tail); err != nil {
		return out, err
	}
	if in.Tail > 0 {
		q.Limit = in.Tail
	}
	lines, err := s.Details.Logs(ctx, r.ID, q)
	if err != nil {
		return out, err
	}
	text := 0
	for _, l := range lines {
		text += len(l.Text)
	}
	page := client.LogPage{Lines: notNil(lines), Next: q.After, More: len(lines) == q.Limit || text >= run.MaxLogText}
	if n := len(page.Lines); n > 0 {
		page.Next = page.Lines[n-1].Pos
	}
	return page, nil
}

// backwards reports whether a request reads from the end: after does not go together with what says so.
func backwards(after, before int64, tail int) (bool, error) {
	back := tail > 0 || before > 0
	if back && after > 0 {
		return back, invalid("query", run.FieldError{Field: "after", Rule: "does not go together with tail or before", Fix: "remove one of them"})
	}
	return back, nil
}
