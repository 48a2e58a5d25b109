package compare

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/cotrain/cotrain/internal/compare"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/compare"
	"github.com/cotrain/cotrain/views/ui"
)

const maxNamed = 5 * compare.MaxRuns // runs that are looked up: not all that an address names need be there

// picked are the runs of a comparison.
type picked struct {
	runs    []run.Run
	missing []string // asked for, and not there
	bounded string   // which were left out, or ""
	title   string   // of the sweep, or ""
	fields  []string // of the sweep
}

// pick reads the runs that a query names.
func (p *Pages) pick(r *http.Request, q view.Query) (picked, error) {
	switch {
	case len(q.Runs) > 0:
		return p.byID(r.Context(), q.Runs)
	case q.Sweep != "":
		return p.ofSweep(r.Context(), q.Sweep)
	case len(q.Filter) > 0:
		return p.filtered(r)
	}
	return picked{}, nil
}

func (p *Pages) byID(ctx context.Context, ids []run.ID) (out picked, err error) {
	rest := 0
	for i, id := range ids {
		if len(out.runs) == compare.MaxRuns || i == maxNamed {
			rest = len(ids) - i
			break
		}
		var found run.Run
		if _, err = run.ParseID(string(id)); err == nil {
			found, err = p.Store.Run(ctx, id)
		} else {
			err = fault.ErrNotFound
		}
		switch {
		case errors.Is(err, fault.ErrNotFound):
			out.missing = append(out.missing, string(id))
		case err != nil:
			return out, err
		default:
			out.runs = append(out.runs, found)
		}
	}
	if rest > 0 {
		out.bounded = fmt.Sprintf("Of the runs that the address names, the first %s are compared, %s are left out.", ui.Integer(len(out.runs)), ui.Integer(rest))
	}
	return out, nil
}

func (p *Pages) ofSweep(ctx context.Context, id run.SweepID) (picked, error) {
	sweep, err := p.Sweeps.Sweep(ctx, id)
	if err != nil {
		return picked{}, err
	}
	out := picked{title: sweep.Name, fields: sweep.Fields}
	out.runs, err = p.newest(ctx, run.RunFilter{Projects: run.AllProjects(), Sweep: id}, &out)
	slices.Reverse(out.runs) // in the order of the sweep's points
	return out, err
}

// filtered are the newest runs that the list would show, sweeps unfolded.
func (p *Pages) filtered(r *http.Request) (out picked, err error) {
	project, err := page.SelectedProject(r)
	if err != nil {
		return out, err
	}
	f, err := page.ReadFilter(r.URL.Query(), p.Now(), fromDay, toDay)
	if err != nil {
		return out, err
	}
	f.Projects = page.Projects(project)
	out.runs, err = p.newest(r.Context(), f, &out)
	return out, err
}

// newest are the newest runs of a filter, and how many are left out.
func (p *Pages) newest(ctx context.Context, f run.RunFilter, out *picked) ([]run.Run, error) {
	f.Limit = compare.MaxRuns + 1
	runs, err := p.Store.Runs(ctx, f)
	if err != nil || len(runs) <= compare.MaxRuns {
		return runs, err
	}
	counts, err := p.Store.CountRuns(ctx, f)
	n := counts.Total()
	if len(f.States) > 0 {
		n = 0
		for _, s := range f.States {
			n += counts[s]
		}
	}
	out.bounded = fmt.Sprintf("The newest %d of %s matching runs are compared, %s older ones are left out.", compare.MaxRuns, ui.Integer(n), ui.Integer(n-compare.MaxRuns))
	return runs[:compare.MaxRuns], err
}
