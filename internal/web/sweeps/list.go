package sweeps

import (
	"net/http"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/sweeps"
)

// sweepsShown is the sweeps per page.
const sweepsShown = 30

// List shows sweeps, newest first, before the query's before.
func (p *Pages) List(w http.ResponseWriter, r *http.Request) error {
	list := view.List{Now: p.Now()}
	if v := r.URL.Query().Get("before"); v != "" {
		id, err := run.ParseSweepID(v)
		if err != nil {
			return page.BadCursor("before", v, "the ID of a sweep")
		}
		list.Before = id
	}
	project, err := page.SelectedProject(r)
	if err != nil {
		return err
	}
	if list.Sweeps, err = p.Control.Sweeps(r.Context(), page.Projects(project), list.Before, sweepsShown+1); err != nil {
		return err
	}
	if len(list.Sweeps) > sweepsShown {
		list.Sweeps = list.Sweeps[:sweepsShown]
		list.Older = list.Sweeps[sweepsShown-1].ID
	}
	return p.Render(w, r, http.StatusOK, view.ListPage(p.Frame(r, "Sweeps", "sweeps"), list))
}
