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
		of, err := p.run(r)
		if err != nil {
			return err
		}
		events, err := p.eventPage(r.Context(), of, before)
		if err != nil {
			return err
		}
		return p.Render(w, r, http.StatusOK, view.EarlierEvents(events, p.Now()))
	}
	return p.Tab(w, r, view.TabEvents, func(ctx context.Context, f view.Frame) (templ.Component, error) {
		events, err := p.eventPage(ctx, f.Run, before)
		return view.EventsTab(events, f.Now), err
	})
}

func (p *Pages) newestEvents(ctx context.Context, f view.Frame) (templ.Component, error) {
	events, err := p.eventPage(ctx, f.Run, 0)
	return view.EventsTab(events, f.Now), err
}

// eventPage reads the newest events before a sequence, 0 for the end, and the run's attempts.
func (p *Pages) eventPage(ctx context.Context, of run.Run, before int64) (view.EventPage, error) {
	page := view.EventPage{Run: of.ID, Before: before, State: of.State}
	events, err := p.Store.EventsBefore(ctx, of.ID, cmp.Or(before, math.MaxInt64), eventsShown+1)
	if err != nil {
		return page, err
	}
	if page.More = len(events) > eventsShown; page.More {
		events = events[len(events)-eventsShown:]
	}
	page.Events = events
	page.Attempts, err = p.segments(ctx, of.ID)
	return page, err
}

// segments are a run's attempts, each with the first step that it reported again or anew.
func (p *Pages) segments(ctx context.Context, id run.ID) ([]view.Segment, error) {
	attempts, err := p.Store.Attempts(ctx, id)
	if err != nil {
		return nil, err
	}
	joins, err := p.Store.Joins(ctx, id)
	if err != nil {
		return nil, err
	}
	out := make([]view.Segment, len(attempts))
	for i, a := range attempts {
		out[i].Attempt = a
		for _, j := range joins {
			if j.Attempt == a.Number && i > 0 {
				out[i].From = &j.From
			}
		}
	}
	return out, nil
}
