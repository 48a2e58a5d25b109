package api

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
)

// maxLogBytes is where an answer with log lines is cut, in bytes of text: lines can be long.
const maxLogBytes = 8 << 20

type readLogsInput struct {
	ID     string `path:"id" doc:"ID of the run, such as r-0123456789"`
	Worker int    `query:"worker" default:"-1" minimum:"-1" maximum:"1048576" doc:"Rank of the worker; -1 for all"`
	After  int64  `query:"after" minimum:"0" doc:"Cursor: only lines after this place; the next of the previous answer"`
	Tail   int    `query:"tail" minimum:"1" maximum:"5000" doc:"The newest lines, this many"`
	Before int64  `query:"before" minimum:"1" doc:"The newest lines before this place; the pos of a line"`
	Limit  int    `query:"limit" default:"1000" minimum:"1" maximum:"5000" doc:"At most this many lines"`
}

type readLogsOutput struct {
	Body logPage
}

type logPage struct {
	Lines []run.LogLine `json:"lines" nullable:"false" doc:"Oldest first"`
	Next  run.LogPos    `json:"next" doc:"For after: what comes after these lines"`
	More  bool          `json:"more" doc:"Whether there may be more lines in the direction of reading now"`
}

func (s *server) readLogs(ctx context.Context, in *readLogsInput) (*readLogsOutput, error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	q := run.LogQuery{Rank: in.Worker, After: run.LogPos(in.After), Before: run.LogPos(in.Before), Limit: in.Limit}
	if q.Tail = in.Tail > 0 || in.Before > 0; q.Tail {
		if in.After > 0 {
			return nil, invalid("query", run.FieldError{Field: "after", Rule: "does not go together with tail or before", Fix: "remove one of them"})
		}
		if in.Tail > 0 {
			q.Limit = in.Tail
		}
	}
	lines, err := s.Details.Logs(ctx, r.ID, q)
	if err != nil {
		return nil, err
	}
	page := logPage{Lines: notNil(lines), Next: q.After, More: len(lines) == q.Limit}
	cut := page.cut(q.Tail)
	page.More = page.More || cut
	if n := len(page.Lines); n > 0 {
		page.Next = page.Lines[n-1].Pos
	}
	return &readLogsOutput{page}, nil
}

// cut drops the lines farthest in the direction of reading that are beyond maxLogBytes, but leaves one.
func (p *logPage) cut(backwards bool) bool {
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

type listEventsInput struct {
	ID    string `path:"id" doc:"ID of the run, such as r-0123456789"`
	After int64  `query:"after" minimum:"0" doc:"Cursor: only events after this sequence; the next of the previous answer"`
	Limit int    `query:"limit" default:"500" minimum:"1" maximum:"5000"`
}

type listEventsOutput struct {
	Body eventPage
}

type eventPage struct {
	Items []run.Event `json:"items" nullable:"false"`
	Next  int64       `json:"next" doc:"For after: what happens after these events"`
}

func (s *server) listEvents(ctx context.Context, in *listEventsInput) (*listEventsOutput, error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	events, err := s.Details.Events(ctx, r.ID, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	page := eventPage{Items: notNil(events), Next: in.After}
	if n := len(events); n > 0 {
		page.Next = events[n-1].Seq
	}
	return &listEventsOutput{page}, nil
}
