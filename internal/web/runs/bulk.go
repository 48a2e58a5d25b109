package runs

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/runs"
)

// BulkAsk shows what is about to be done with the runs that are selected; compare goes on at once.
func (p *Pages) BulkAsk(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	b, err := p.selection(r, q)
	if err != nil {
		return err
	}
	b.Do = q.Get("do")
	switch {
	case b.Do == "compare":
		ids := make([]string, len(b.Runs))
		for i, r := range b.Runs {
			ids[i] = string(r.ID)
		}
		return page.Redirect(w, r, "/compare?runs="+strings.Join(ids, ","))
	case !slices.Contains(view.BulkActions(), b.Do):
		return run.FieldErrors{{Field: "do", Value: page.Text(b.Do, 60), Rule: "is nothing that is done with runs", Fix: "use one of compare, " + strings.Join(view.BulkActions(), ", ")}}
	}
	return p.Render(w, r, http.StatusOK, view.BulkPage(p.Frame(r, b.Title(), "runs"), b))
}

// BulkEdit tags or archives the runs that are selected.
func (p *Pages) BulkEdit(w http.ResponseWriter, r *http.Request) error {
	return p.bulk(w, r, func(ctx context.Context, id run.ID) error {
		e := run.Edit{Tag: run.SplitTags(r.PostForm.Get("add")), Untag: run.SplitTags(r.PostForm.Get("remove"))}
		if v := r.PostForm.Get("archived"); v != "" {
			yes := v == "yes"
			e.Archived = &yes
		}
		return p.Control.Edit(ctx, id, e)
	})
}

// BulkStop stops the runs that are selected.
func (p *Pages) BulkStop(w http.ResponseWriter, r *http.Request) error {
	return p.bulk(w, r, p.Control.Stop)
}

// BulkPause pauses the runs that are selected.
func (p *Pages) BulkPause(w http.ResponseWriter, r *http.Request) error {
	return p.bulk(w, r, func(ctx context.Context, id run.ID) error {
		when, err := run.ParsePauseWhen(r.PostForm.Get("when"))
		if err != nil {
			return err
		}
		return p.Control.Act(ctx, id, run.Action{Act: run.ActPause, When: when})
	})
}

// BulkResume resumes the runs that are selected.
func (p *Pages) BulkResume(w http.ResponseWriter, r *http.Request) error {
	return p.bulk(w, r, func(ctx context.Context, id run.ID) error {
		return p.Control.Act(ctx, id, run.Action{Act: run.ActResume})
	})
}

// BulkDelete deletes the runs that are selected.
func (p *Pages) BulkDelete(w http.ResponseWriter, r *http.Request) error {
	return p.bulk(w, r, p.Control.Delete)
}

// bulk does something with each run, and says which it was not done with, if any.
func (p *Pages) bulk(w http.ResponseWriter, r *http.Request, do func(context.Context, run.ID) error) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	b, err := p.selection(r, r.PostForm)
	if err != nil {
		return err
	}
	ids := make([]run.ID, len(b.Runs))
	for i, found := range b.Runs {
		ids[i] = found.ID
	}
	res, err := run.Bulk(r.Context(), ids, do)
	if err != nil {
		return err
	}
	if len(res.Failed) == 0 {
		return page.Redirect(w, r, b.Back())
	}
	b.Result = &res
	return p.Render(w, r, http.StatusOK, view.BulkPage(p.Frame(r, "Not all were changed", "runs"), b))
}

// selection are the runs that a form names, or the newest that its filter finds. Those that are gone, or that who asks may not see, are left
// out.
func (p *Pages) selection(r *http.Request, q url.Values) (b view.Bulk, err error) {
	filter := url.Values{}
	for name, values := range q {
		if of, ok := strings.CutPrefix(name, "f-"); ok {
			filter[of] = values
		}
	}
	list, found, err := p.listQuery(r, filter)
	if err != nil {
		return b, err
	}
	b = view.Bulk{Filter: list.Filter, All: q.Get("all") == "1", Now: p.Now()}
	if b.All {
		if list.Project != "" {
			found.Projects = page.Projects(list.Project)
		}
		found.Order, found.Folded, found.After, found.Limit = run.Order{}, false, nil, run.MaxBulk
		b.Runs, err = p.Store.Runs(r.Context(), found)
		return b, err
	}
	given := slices.Compact(slices.Sorted(slices.Values(q["run"])))
	if len(given) == 0 || len(given) > run.MaxBulk {
		return b, run.FieldErrors{{Field: "run", Rule: "names no run, or more than 1,000", Fix: "select some in the list"}}
	}
	for _, name := range given {
		id, err := run.ParseID(name)
		if err != nil {
			return b, err
		}
		found, err := p.Store.Run(r.Context(), id)
		if err != nil {
			return b, err
		}
		b.Runs = append(b.Runs, found)
	}
	return b, nil
}
