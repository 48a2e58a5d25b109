package api

import (
	"context"
	"math"

	"github.com/cotrain/cotrain/internal/run"
)

type listEventsInput struct {
	ID     string `path:"id" doc:"ID of the run, such as r-0123456789"`
	After  int64  `query:"after" minimum:"0" doc:"Cursor: only events after this sequence; the next of the previous answer"`
	Tail   int    `query:"tail" minimum:"1" maximum:"5000" doc:"The newest events, this many"`
	Before int64  `query:"before" minimum:"1" doc:"The newest events before this sequence; the seq of an event"`
	Limit  int    `query:"limit" default:"500" minimum:"1" maximum:"5000" doc:"At most this many events"`
}

type listEventsOutput struct {
	Body eventPage
}

type eventPage struct {
	Items []run.Event `json:"items" nullable:"false" doc:"Oldest first"`
	Next  int64       `json:"next" doc:"For after: what happens after these events"`
	More  bool        `json:"more" doc:"Whether there are more events in the direction of reading now"`
}

func (s *server) listEvents(ctx context.Context, in *listEventsInput) (*listEventsOutput, error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	back, err := backwards(in.After, in.Before, in.Tail)
	if err != nil {
		return nil, err
	}
	page := eventPage{Next: in.After}
	if back {
		page.Items, page.More, err = s.eventsBefore(ctx, r.ID, in)
	} else {
		page.Items, page.More, err = s.eventsAfter(ctx, r.ID, in)
	}
	if n := len(page.Items); n > 0 {
		page.Next = page.Items[n-1].Seq
	}
	page.Items = notNil(page.Items)
	return &listEventsOutput{page}, err
}

func (s *server) eventsAfter(ctx context.Context, id run.ID, in *listEventsInput) (events []run.Event, more bool, err error) {
	events, err = s.Details.Events(ctx, id, in.After, in.Limit+1)
	if more = len(events) > in.Limit; more {
		events = events[:in.Limit]
	}
	return events, more, err
}

func (s *server) eventsBefore(ctx context.Context, id run.ID, in *listEventsInput) (events []run.Event, more bool, err error) {
	limit, before := in.Limit, in.Before
	if in.Tail > 0 {
		limit = in.Tail
	}
	if before == 0 {
		before = math.MaxInt64
	}
	events, err = s.Details.EventsBefore(ctx, id, before, limit+1)
	if more = len(events) > limit; more {
		events = events[len(events)-limit:]
	}
	return events, more, err
}
