package views

import "strings"

// Choice is one entry of a select field.
type Choice struct {
	Value, Label string
}

// Field is one input with its label, help and what is wrong with it.
type Field struct {
	Name     string // under which it is sent
	Label    string
	Help     string
	Unit     string
	Kind     string // text, number, select or checkbox
	Value    string // a checkbox is "true" when set
	Choices  []Choice
	Suggest  []string // values offered while typing
	Min, Max string   // of a number
	Step     string   // of a number; "any" for fractions
	Hint     string   // placeholder
	Required bool
	MaxBytes int    // length of a text, 0 for 200
	Error    string // what is wrong and what would pass, or ""
	Warning  string // what is odd and allowed, or ""
}

// ID is the element's id, which error summaries link to.
func (f Field) ID() string { return "f-" + strings.ReplaceAll(f.Name, ".", "-") }

func (f Field) helpID() string    { return f.ID() + "-help" }
func (f Field) messageID() string { return f.ID() + "-message" }

// describedBy names the help (when there is one) and the message.
func (f Field) describedBy() string {
	if f.Help == "" {
		return f.messageID()
	}
	return f.helpID() + " " + f.messageID()
}

func (f Field) maxLength() int {
	if f.MaxBytes > 0 {
		return f.MaxBytes
	}
	return 200
}

// FieldGroup is a titled part of a form.
type FieldGroup struct {
	Key, Title, Help string
	Fields           []Field
}

// Fact is one line of the preview.
type Fact struct {
	Key, Label, Value, Note string
}

// Preview is what the form would make.
type Preview struct {
	Facts    []Fact
	Warnings []string
	TOML     string
	Problem  string // why there is no TOML yet, or ""
}

// RunForm is the form for a new run.
type RunForm struct {
	Name      Field
	Preset    Field
	Groups    []FieldGroup
	Preview   Preview
	Key       string // makes a repeated submission return the first one's run
	Submitted bool   // it was sent and refused: every mistake is shown
	General   []string
}

// mistakes are the fields that are wrong, in order.
func (f RunForm) mistakes() []Field {
	var out []Field
	for _, x := range f.all() {
		if x.Error != "" {
			out = append(out, x)
		}
	}
	return out
}

// all are the form's fields in order.
func (f RunForm) all() []Field {
	out := []Field{f.Name, f.Preset}
	for _, g := range f.Groups {
		out = append(out, g.Fields...)
	}
	return out
}
