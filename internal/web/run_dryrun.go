package web

import (
	"context"
	"errors"
	"net/http"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views"
)

// DryRuns asks the cluster what it would do with a submission. What is not valid is [run.FieldErrors], and a cluster
// that is away [fault.ErrUnavailable].
type DryRuns interface {
	DryRun(ctx context.Context, s run.Submission) (run.DryRun, error)
}

// handleDryRun says where the form's run would land, or why not; nothing is started.
func (s *Server) handleDryRun(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	d := readRequest(r.PostForm)
	answer := s.dryRun(r.Context(), d)
	if r.Header.Get("HX-Request") == "true" {
		return s.render(w, r, http.StatusOK, views.DryRunResult(answer))
	}
	return s.renderForm(w, r, http.StatusOK, d, func(f *views.RunForm) {
		f.Key, f.DryRun = text(r.PostForm.Get("key"), 64), answer
	}, nil)
}

// dryRun answers for a draft. It may have no name yet.
func (s *Server) dryRun(ctx context.Context, d *draft) views.RunDryRun {
	v := views.RunDryRun{Asked: true}
	for _, e := range d.errs {
		if e.Field != inputName || d.typed[inputName] != "" {
			v.Mistakes = append(v.Mistakes, labelled(e))
		}
	}
	if len(v.Mistakes) > 0 {
		return v
	}
	sub := d.submission("")
	if sub.Name == "" {
		sub.Name = "dry run"
	}
	found, err := s.DryRuns.DryRun(ctx, sub)
	var fields run.FieldErrors
	switch {
	case errors.As(err, &fields):
		for _, e := range fields {
			v.Mistakes = append(v.Mistakes, labelled(e))
		}
	case err != nil:
		s.Logger.Warn("dry run", "err", err)
		f := fault.Of(err)
		v.Error = f.Title + ". " + f.Text() + " Nothing has been changed."
	default:
		v.Result = views.DryRunAnswer{DryRun: found, Command: d.request.CommandLine()}
	}
	return v
}
