package form

import (
	"context"
	"errors"
	"net/http"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/form"
)

// DryRun shows where the run would land, or why not; nothing is started.
func (p *Pages) DryRun(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	d := Read(r.PostForm)
	answer := p.dryRun(r.Context(), d)
	if page.IsFragment(r) {
		return p.Render(w, r, http.StatusOK, view.DryRunResult(answer))
	}
	return p.renderForm(w, r, http.StatusOK, d, func(f *view.Form) {
		f.Key, f.DryRun = page.Text(r.PostForm.Get("key"), 64), answer
	}, nil)
}

// dryRun works without a name.
func (p *Pages) dryRun(ctx context.Context, d *Draft) view.DryRun {
	v := view.DryRun{Asked: true}
	for _, e := range d.errs {
		if e.Field != InputName || d.typed[InputName] != "" {
			v.Mistakes = append(v.Mistakes, Labelled(e))
		}
	}
	if len(v.Mistakes) > 0 {
		return v
	}
	sub := d.Submission("")
	if sub.Name == "" {
		sub.Name = "dry run"
	}
	found, err := p.Control.DryRun(ctx, sub)
	var fields run.FieldErrors
	switch {
	case errors.As(err, &fields):
		for _, e := range fields {
			v.Mistakes = append(v.Mistakes, Labelled(e))
		}
	case err != nil:
		p.Logger.Warn("dry run", "err", err)
		f := fault.Of(err)
		v.Error = f.Title + ". " + f.Text() + " Nothing has been changed."
	default:
		v.Result = view.DryRunAnswer{DryRun: found, Command: d.Request.CommandLine(d.project)}
	}
	return v
}
