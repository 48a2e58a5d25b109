package cluster

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/cluster"
)

// Survey has the cluster measured.
type Survey interface {
	// Measure is [fault.ErrConflict] while another measurement goes on; a choice that cannot be measured is [run.FieldErrors].
	Measure(ctx context.Context, c measure.Choice) (measure.Measurement, error)
	// StopMeasurement is [fault.ErrConflict] when it has ended.
	StopMeasurement(ctx context.Context, id string) (measure.Measurement, error)
	Measured(ctx context.Context) (*measure.Known, error)
}

// MeasureAsk asks which nodes are to be measured.
func (p *Pages) MeasureAsk(w http.ResponseWriter, r *http.Request) error {
	return p.measureForm(w, r, http.StatusOK, view.MeasureForm{})
}

func (p *Pages) measureForm(w http.ResponseWriter, r *http.Request, status int, f view.MeasureForm) error {
	nodes, err := p.Control.Nodes(r.Context())
	if err != nil {
		return err
	}
	runs := map[string]bool{}
	for _, n := range nodes {
		if n.Status != "ready" || !n.Eligible {
			continue
		}
		f.Nodes++
		f.Sites = append(f.Sites, n.Datacenter)
		for _, u := range n.Uses {
			if u.Rank >= 0 {
				runs[u.Job] = true
			}
		}
	}
	slices.Sort(f.Sites)
	f.Sites, f.Runs = slices.Compact(f.Sites), len(runs)
	return p.Render(w, r, status, view.MeasurePage(p.Frame(r, "Measure nodes and network", "cluster"), f))
}

// Measure starts a measurement.
func (p *Pages) Measure(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	site := page.Text(r.PostForm.Get("site"), 200)
	_, err := p.Survey.Measure(r.Context(), measure.Choice{Site: site})
	var fields run.FieldErrors
	switch {
	case errors.As(err, &fields):
		return p.measureForm(w, r, http.StatusUnprocessableEntity, view.MeasureForm{Site: site, Error: fields.Error()})
	case err != nil:
		return err
	}
	return page.Redirect(w, r, "/cluster#measured")
}

// StopMeasurement ends a measurement. One that has ended meanwhile is as good.
func (p *Pages) StopMeasurement(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	if _, err := p.Survey.StopMeasurement(r.Context(), page.Text(r.PostForm.Get("id"), 100)); err != nil && !errors.Is(err, fault.ErrConflict) {
		return err
	}
	return page.Redirect(w, r, "/cluster#measured")
}
