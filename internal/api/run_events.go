package api

import (
	"context"
	"math"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

type listEventsInput struct {
	ID string `path:"id" doc:"ID of the run, such as r-0123456789"`
	client.EventsQuery
}

func (s *server) listEvents(ctx context.Context, in *listEventsInput) (*body[client.EventPage], error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	back, err := backwards(in.After, in.Before, in.Tail)
	if err != nil {
		return nil, err
	}
	page := client.EventPage{Next: in.After}
	if back {
		page.Items, page.More, err = s.eventsBefore(ctx, r.ID, in)
	} else {
		page.Items, page.More, err = s.eventsAfter(ctx, r.ID, in)
	}
	if n := len(page.Items); n > 0 {
		page.Next = page.Items[n-1].Seq
	}
	page.Items = notNil(page.Items)
	return &body[client.EventPage]{page}, err
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
