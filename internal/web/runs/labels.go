package runs

import (
	"errors"
	"net/http"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/runs"
)

// SaveLabels changes a run's tags and note, or archives it. What cannot be saved comes back as it was typed.
func (p *Pages) SaveLabels(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	id, err := page.RunID(r)
	if err != nil {
		return err
	}
	typed := r.PostForm
	out := view.LabelsForm{Tags: typed.Get("tags"), TagsWere: typed.Get("tags-were"), Note: typed.Get("note"), NoteWas: typed.Get("note-was")}
	e := run.EditTags(run.SplitTags(out.TagsWere), run.SplitTags(out.Tags))
	if out.Note != out.NoteWas { // else what others wrote meanwhile stays
		e.Note, e.NoteWas = &out.Note, out.NoteWas
	}
	if v := typed.Get("archived"); v != "" {
		yes := v == "yes"
		e.Archived = &yes
	}
	err = p.Control.Edit(r.Context(), id, e)
	if err == nil {
		return page.Redirect(w, r, "/runs/"+string(id))
	}
	var wrong run.FieldErrors
	if !errors.As(err, &wrong) && !errors.Is(err, fault.ErrNoteChanged) {
		return err
	}
	status := fault.ErrInvalid.Status()
	if out.Run, err = p.Store.Run(r.Context(), id); err != nil {
		return err
	}
	for _, f := range wrong {
		if said := form.Sentence(f); f.Field == "note" {
			out.NoteError = said
		} else {
			out.TagsError = said
		}
	}
	if wrong == nil { // saving again replaces the note that is shown now
		status, out.NoteWas, out.Changed = fault.ErrNoteChanged.Status(), out.Run.Note, true
	}
	return p.Render(w, r, status, view.LabelsPage(p.Frame(r, "Tags and note", "runs"), out))
}
