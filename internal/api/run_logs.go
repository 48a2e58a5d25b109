package api

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

// maxLogBytes is where an answer with log lines is cut, in bytes of text: lines can be long.
const maxLogBytes = 8 << 20

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
	page := client.LogPage{Lines: notNil(lines), Next: q.After, More: len(lines) == q.Limit}
	cut := cutLines(&page, q.Tail)
	page.More = page.More || cut
	if n := len(page.Lines); n > 0 {
		page.Next = page.Lines[n-1].Pos
	}
	return page, nil
}

// cutLines drops the lines farthest in the direction of reading that are beyond maxLogBytes, but leaves one.
func cutLines(p *client.LogPage, backwards bool) bool {
	size := 0
	for i := range p.Lines {
		at := i
		if backwards {
			at = len(p.Lines) - 1 - i
		}
		size += len(p.Lines[at].Text)
		if i == 0 || size <= maxLogBytes {
			continue
		}
		if backwards {
			p.Lines = p.Lines[at+1:]
		} else {
			p.Lines = p.Lines[:at]
		}
		return true
	}
	return false
}

// backwards reports whether a request reads from the end: after does not go together with what says so.
func backwards(after, before int64, tail int) (bool, error) {
	back := tail > 0 || before > 0
	if back && after > 0 {
		return back, invalid("query", run.FieldError{Field: "after", Rule: "does not go together with tail or before", Fix: "remove one of them"})
	}
	return back, nil
}
