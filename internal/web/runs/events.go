package runs

import (
	"cmp"
	"context"
	"math"
	"net/http"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/runs"
)

// eventsShown is the events per page.
const eventsShown = 200

// Events returns older events, to append to the timeline.
func (p *Pages) Events(w http.ResponseWriter, r *http.Request) error {
	found, err := p.run(r)
	if err != nil {
		return err
	}
	before, err := page.Number(r, "before", 0, 0, math.MaxInt64)
	if err != nil {
		return err
	}
	events, err := p.eventPage(r.Context(), found.ID, before)
	if err != nil {
		return err
	}
	return p.Render(w, r, http.StatusOK, view.EarlierEvents(events, p.Now()))
}

// eventPage reads the newest events before a sequence, 0 for the end.
func (p *Pages) eventPage(ctx context.Context, id run.ID, before int64) (view.EventPage, error) {
	page := view.EventPage{Run: id, Before: before}
	events, err := p.Store.EventsBefore(ctx, id, cmp.Or(before, math.MaxInt64), eventsShown+1)
	if page.More = len(events) > eventsShown; page.More {
		events = events[len(events)-eventsShown:]
	}
	page.Events = events
	return page, err
}
