package sweeps

import (
	"context"
	"net/http"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/sweeps"
	"github.com/cotrain/cotrain/views/ui"
)

// StopAsk confirms stopping a sweep.
func (p *Pages) StopAsk(w http.ResponseWriter, r *http.Request) error {
	return p.ask(w, r, view.StopConfirm)
}

// DeleteAsk confirms deleting a sweep.
func (p *Pages) DeleteAsk(w http.ResponseWriter, r *http.Request) error {
	return p.ask(w, r, view.DeleteConfirm)
}

func (p *Pages) ask(w http.ResponseWriter, r *http.Request, question func(run.Sweep) ui.Confirm) error {
	found, err := p.sweep(r)
	if err != nil {
		return err
	}
	return p.Ask(w, r, "sweeps", question(found))
}

// Stop stops every run of a sweep.
func (p *Pages) Stop(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, p.Control.StopSweep, ui.SweepPath)
}

// Delete deletes an ended sweep with its runs.
func (p *Pages) Delete(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, p.Control.DeleteSweep, func(run.SweepID) string { return "/sweeps" })
}

func (p *Pages) act(w http.ResponseWriter, r *http.Request, do func(context.Context, run.SweepID) error, next func(run.SweepID) string) error {
	id, err := sweepID(r)
	if err != nil {
		return err
	}
	if err := do(r.Context(), id); err != nil {
		return err
	}
	return page.Redirect(w, r, next(id))
}
