package runs

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/runs"
	"github.com/cotrain/cotrain/views/ui"
)

// Sample starts the sample run, in the project that is selected.
func (p *Pages) Sample(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	project, err := page.TargetProject(r, access.RunsSubmit, "")
	if err != nil {
		return err
	}
	name, cfg, shape := trainconf.Sample()
	sample := run.Submission{Project: project, Name: name, Preset: "sample", Config: string(cfg.TOML()), Shape: shape}
	made, err := p.Control.Submit(r.Context(), sample)
	for sample.Shape.Nodes > 1 && refusesNodes(err) { // the project allows fewer
		sample.Shape.Nodes--
		made, err = p.Control.Submit(r.Context(), sample)
	}
	if err != nil {
		return err
	}
	return page.Redirect(w, r, "/runs/"+string(made.ID))
}

func refusesNodes(err error) bool {
	var errs run.FieldErrors
	return errors.As(err, &errs) && slices.ContainsFunc(errs, func(e run.FieldError) bool { return e.Field == "nodes" })
}

// StopAsk confirms stopping a run.
func (p *Pages) StopAsk(w http.ResponseWriter, r *http.Request) error {
	return p.askWith(w, r, view.StopConfirm)
}

// DeleteAsk confirms deleting a run.
func (p *Pages) DeleteAsk(w http.ResponseWriter, r *http.Request) error {
	return p.ask(w, r, view.DeleteConfirm)
}

// AskAct returns the page that confirms an action.
func (p *Pages) AskAct(a run.Act) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		return p.askWith(w, r, func(o run.Outlook) ui.Confirm { return view.ActConfirm(a, o) })
	}
}

func (p *Pages) askWith(w http.ResponseWriter, r *http.Request, question func(run.Outlook) ui.Confirm) error {
	id, err := page.RunID(r)
	if err != nil {
		return err
	}
	o, err := p.Control.Outlook(r.Context(), id)
	if err != nil {
		return err
	}
	return p.Ask(w, r, "runs", question(o))
}

func (p *Pages) ask(w http.ResponseWriter, r *http.Request, question func(run.Run) ui.Confirm) error {
	found, err := p.run(r)
	if err != nil {
		return err
	}
	return p.Ask(w, r, "runs", question(found))
}

// Stop stops a run.
func (p *Pages) Stop(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, p.Control.Stop, ui.RunPath)
}

// Act carries out an action, with what was chosen.
func (p *Pages) Act(a run.Act) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := page.ReadForm(r); err != nil {
			return err
		}
		when, err := run.ParsePauseWhen(r.PostForm.Get("when"))
		if err != nil {
			return err
		}
		from, err := run.ParseResumeChoice(r.PostForm.Get("from"))
		if err != nil {
			return err
		}
		action := run.Action{Act: a, From: from}
		if a == run.ActPause {
			action.When = when
		}
		return p.act(w, r, func(ctx context.Context, id run.ID) error { return p.Control.Act(ctx, id, action) }, ui.RunPath)
	}
}

// Delete deletes a run that has ended.
func (p *Pages) Delete(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, p.Control.Delete, func(run.ID) string { return "/" })
}

func (p *Pages) act(w http.ResponseWriter, r *http.Request, do func(context.Context, run.ID) error, next func(run.ID) string) error {
	id, err := page.RunID(r)
	if err != nil {
		return err
	}
	if err := do(r.Context(), id); err != nil {
		return err
	}
	return page.Redirect(w, r, next(id))
}
