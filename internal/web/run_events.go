package web

import (
	"cmp"
	"context"
	"math"
	"net/http"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views"
)

// eventsShown is how many events a page gets at once.
const eventsShown = 200

// handleRunEvents returns the events before a sequence, as what a timeline that begins there gets at its end.
func (s *Server) handleRunEvents(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	before, err := number(r, "before", 0, 0, math.MaxInt64)
	if err != nil {
		return err
	}
	if _, err := s.Runs.Run(r.Context(), id); err != nil {
		return err
	}
	page, err := s.eventPage(r.Context(), id, before)
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, views.EarlierEvents(page, s.Now()))
}

// eventPage reads the newest events before a sequence, 0 for the newest of all.
func (s *Server) eventPage(ctx context.Context, id run.ID, before int64) (views.EventPage, error) {
	page := views.EventPage{Run: id, Before: before}
	events, err := s.Details.EventsBefore(ctx, id, cmp.Or(before, math.MaxInt64), eventsShown+1)
	if page.More = len(events) > eventsShown; page.More {
		events = events[len(events)-eventsShown:]
	}
	page.Events = events
	return page, err
}
