package api

import (
	"cmp"
	"context"
	"math"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

type listEventsInput struct {
	ID string `path:"id" doc:"ID of the run, such as r-0123456789"`
	client.EventsQuery
}

func (s *server) listEvents(ctx context.Context, in *listEventsInput) (out client.EventPage, err error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return out, err
	}
	back, err := backwards(in.After, in.Before, in.Tail)
	if err != nil {
		return out, err
	}
	out.Next = in.After
	if back {
		out.Items, out.More, err = s.eventsBefore(ctx, r.ID, in)
	} else {
		out.Items, err = s.Details.Events(ctx, r.ID, in.After, in.Limit+1)
		out.Items, out.More = firstPage(out.Items, in.Limit)
	}
	if n := len(out.Items); n > 0 {
		out.Next = out.Items[n-1].Seq
	}
	return out, err
}

func (s *server) eventsBefore(ctx context.Context, id run.ID, in *listEventsInput) (events []run.Event, more bool, err error) {
	limit, before := cmp.Or(in.Tail, in.Limit), cmp.Or(in.Before, math.MaxInt64)
	events, err = s.Details.EventsBefore(ctx, id, before, limit+1)
	return notNil(events[max(0, len(events)-limit):]), len(events) > limit, err
}
