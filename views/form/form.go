package form

import (
	"github.com/a-h/templ"

	"github.com/cotrain/cotrain/views/ui"
)

// Form is the form for a new run.
type Form struct {
	Preset    ui.Field
	Origin    string   // hidden: where it was filled from
	Project   ui.Field // whose run it will be
	Source    string   // the same in words: "clone of first try", or "" for the core's defaults
	Sections  []Section
	Plan      Plan
	Key       string // makes a repeated submission return the first one's run
	Submitted bool   // it was sent and refused: every mistake is shown
	Refused   string // what was not done, when Submitted: "Run not started"
	General   []string
	Shown     string // what the page shows now, for the answers to keystrokes
	Import    *Import
	DryRun    DryRun
}

// all are the form's fields in order.
func (f Form) all() []ui.Field {
	out := []ui.Field{f.Preset, f.Project}
	for _, s := range f.Sections {
		out = append(out, s.all()...)
	}
	return out
}

// mistakes are the fields that are wrong, in order.
func (f Form) mistakes() []ui.Field {
	var out []ui.Field
	for _, x := range f.all() {
		if wrong(x) {
			out = append(out, x)
		}
	}
	return out
}

// Pieces are the parts of the page that typing can change, each to be swapped by its id. Their number and order is the
// same for every form.
func (f Form) Pieces() []templ.Component {
	var out []templ.Component
	for _, s := range f.Sections {
		for _, x := range s.all() {
			out = append(out, ui.FieldMessage(x, true), ui.FieldMark(x, true))
			if x.Kind == ui.KindTicks {
				out = append(out, ui.Ticks(x, true))
			}
		}
		out = append(out, sectionCount(s, true), foldNote(s, true))
	}
	return append(out, f.Plan.pieces()...)
}

// Section is a titled part of the form.
type Section struct {
	Key, Title string
	Switch     *ui.Field // turns the whole section on and off; nil for most
	Fields     []ui.Field
}

func (s Section) id() string { return "section-" + s.Key }

func (s Section) countID() string { return "count-" + s.Key }

func (s Section) foldID() string { return "fold-" + s.Key }

func (s Section) basic() []ui.Field { return s.pick(true) }

func (s Section) more() []ui.Field { return s.pick(false) }

func (s Section) pick(basic bool) []ui.Field {
	var out []ui.Field
	for _, f := range s.Fields {
		if f.Basic == basic {
			out = append(out, f)
		}
	}
	return out
}

// count is how many of the fields have what the function asks for.
func count(fields []ui.Field, has func(ui.Field) bool) int {
	n := 0
	for _, f := range fields {
		if has(f) {
			n++
		}
	}
	return n
}

func wrong(f ui.Field) bool { return f.Error != "" }

func changed(f ui.Field) bool { return f.Mark.Text != "" }

func odd(f ui.Field) bool { return f.Error != "" || f.Warning != "" || f.Mark.Text != "" }

// all are the section's fields with its switch.
func (s Section) all() []ui.Field {
	if s.Switch == nil {
		return s.Fields
	}
	return append([]ui.Field{*s.Switch}, s.Fields...)
}

// foldText is what the folded part of a section says of itself.
func (s Section) foldText() string {
	more := s.more()
	text := ui.Plural(len(more), "more setting")
	if len(more) == len(s.Fields) {
		text = ui.Plural(len(more), "setting")
	}
	if n := count(more, changed); n > 0 {
		text += ", " + ui.Integer(n) + " changed"
	}
	if n := count(more, wrong); n > 0 {
		text += ", " + ui.Integer(n) + " wrong"
	}
	return text
}
