package views

import "github.com/a-h/templ"

// RunForm is the form for a new run.
type RunForm struct {
	Preset    Field
	Origin    string // hidden: where it was filled from
	Source    string // the same in words: "clone of first try", or "" for the core's defaults
	Sections  []FormSection
	Plan      RunPlan
	Key       string // makes a repeated submission return the first one's run
	Submitted bool   // it was sent and refused: every mistake is shown
	Refused   string // what was not done, when Submitted: "The run was not started."
	General   []string
	Notes     []string // what a person should know of how it was filled
	Shown     string   // what the page shows now, for the answers to keystrokes
	Import    *RunImport
	DryRun    RunDryRun
}

// all are the form's fields in order.
func (f RunForm) all() []Field {
	out := []Field{f.Preset}
	for _, s := range f.Sections {
		out = append(out, s.all()...)
	}
	return out
}

// mistakes are the fields that are wrong, in order.
func (f RunForm) mistakes() []Field {
	var out []Field
	for _, x := range f.all() {
		if wrong(x) {
			out = append(out, x)
		}
	}
	return out
}

// Pieces are the parts of the page that typing can change, each to be swapped by its id. Their number and order is the
// same for every form.
func (f RunForm) Pieces() []templ.Component {
	var out []templ.Component
	for _, s := range f.Sections {
		for _, x := range s.all() {
			out = append(out, FieldMessage(x, true), FieldMark(x, true))
		}
		out = append(out, sectionCount(s, true), foldNote(s, true))
	}
	return append(out, f.Plan.pieces()...)
}
