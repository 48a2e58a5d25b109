package runs

import (
	"cmp"
	"context"
	"math"
	"net/http"

	"github.com/a-h/templ"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/runs"
)

// eventsShown is the events per page.
const eventsShown = 200

// Events shows what happened, the newest or those before a sequence. A page asks for older ones as rows alone.
func (p *Pages) Events(w http.ResponseWriter, r *http.Request) error {
	before, err := page.Number(r, "before", 0, 0, math.MaxInt64)
	if err != nil {
		return err
	}
	if page.IsFragment(r) {
		id, err := page.RunID(r)
		if err != nil {
			return err
		}
		events, err := p.eventPage(r.Context(), id, before)
		if err != nil {
			return err
		}
		return p.Render(w, r, http.StatusOK, view.EarlierEvents(events, p.Now()))
	}
	return p.Tab(w, r, view.TabEvents, func(ctx context.Context, f view.Frame) (templ.Component, error) {
		events, err := p.eventPage(ctx, f.Run.ID, before)
		return view.EventsTab(events, f.Now), err
	})
}

func (p *Pages) newestEvents(ctx context.Context, f view.Frame) (templ.Component, error) {
	events, err := p.eventPage(ctx, f.Run.ID, 0)
	return view.EventsTab(events, f.Now), err
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
