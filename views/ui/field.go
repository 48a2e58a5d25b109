package ui

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Choice is one entry of a select field.
type Choice struct {
	Value, Label string
	// Real is the choice that Value stands for, where Value is "" for the default.
	Real string
	Note string // of a tick
}

// ChoiceGroup is a titled part of a select field.
type ChoiceGroup struct {
	Title   string
	Choices []Choice
}

// Kinds of input.
const (
	KindText     = "text"
	KindNumber   = "number"
	KindSelect   = "select"
	KindCheckbox = "checkbox"
	KindLines    = "lines"  // several lines of text
	KindSecret   = "secret" // what was typed is never shown again
	KindTicks    = "ticks"  // some of the choices; its value has commas between them
	KindTable    = "table"  // a choice in each of its rows; likewise
)

// FieldRow is a row of a table: one of its choices counts, the first of them for the default.
type FieldRow struct {
	Label, Note string
	Choices     []Choice
	Cells       []string // of the columns
}

// chosen is the row's choice that a value holds.
func (r FieldRow) chosen(value string) string {
	for _, c := range r.Choices {
		if c.Value != "" && slices.Contains(strings.Split(value, ","), c.Value) {
			return c.Value
		}
	}
	return ""
}

// grouped reports whether the field is more than one input.
func (f Field) grouped() bool { return f.Kind == KindTicks || f.Kind == KindTable }

// Field is one input with its label, help and what is wrong with it.
type Field struct {
	Name    string // under which it is sent
	Label   string
	Help    string
	Default string // default with its unit, "" for none
	Unit    string
	Kind    string // one of the kinds above
	Value   string // a checkbox is "true" when set
	// On and Off are what a checkbox sends; both "" for "true" and nothing.
	On, Off  string
	Choices  []Choice
	Columns  []string      // heads of a table: of the label, the choice, and the cells
	Rows     []FieldRow    // of a table
	Groups   []ChoiceGroup // further choices of a select
	Suggest  []string      // values offered while typing
	Complete string        // what completes it while typing: "storage" or ""
	Hint     string        // placeholder
	None     Choice        // a link in place of ticks, where there is nothing to tick
	// Autocomplete is what a password manager may fill in: username, current-password, new-password; "" for nothing.
	Autocomplete string
	Required     bool
	Basic        bool   // shown at once rather than folded
	MaxBytes     int    // length of a text, 0 for 200
	Error        string // what is wrong and what would pass, or ""
	Warning      string // what is unusual but allowed, or ""
	Mark         ChangeMark
}

// ChangeMark marks a field that differs from its source or default. The zero value is no mark.
type ChangeMark struct {
	Text  string // "changed", "changed from 7B@3"
	From  string // the value there, in words: "512", "not set"
	Reset string // what the input holds after a reset
	// Source is true when it differs from the source of the form, not only from the default.
	Source bool
}

// ID is the element's id, which error summaries link to.
func (f Field) ID() string { return "f-" + strings.ReplaceAll(f.Name, ".", "-") }

// HelpID is the id of the help below the input.
func (f Field) HelpID() string    { return f.ID() + "-help" }
func (f Field) messageID() string { return f.ID() + "-message" }
func (f Field) markID() string    { return f.ID() + "-mark" }

func (f Field) hasHelp() bool { return f.Help != "" || f.Default != "" }

// describedBy names the help (when there is one) and the message.
func (f Field) describedBy() string {
	if !f.hasHelp() {
		return f.messageID()
	}
	return f.HelpID() + " " + f.messageID()
}

func (f Field) autocomplete() string { return cmp.Or(f.Autocomplete, "off") }

func (f Field) maxLength() int {
	if f.MaxBytes > 0 {
		return f.MaxBytes
	}
	return 200
}

// rows is how high a field of several lines is: what it holds, within reason.
func (f Field) rows() int { return min(max(2, strings.Count(f.Value, "\n")+1), 8) }

func (f Field) onValue() string {
	if f.On == "" && f.Off == "" {
		return "true"
	}
	return f.On
}

// ticked reports whether a choice is among those of the value.
func (f Field) ticked(c Choice) bool { return slices.Contains(strings.Split(f.Value, ","), c.Value) }

// tickID is the id of a tick; the first has that of the field, which messages refer to.
func (f Field) tickID(i int) string {
	if i == 0 {
		return f.ID()
	}
	return f.ID() + "-" + strconv.Itoa(i)
}

// searchText is what the search of settings looks in.
func (f Field) searchText() string {
	words := []string{f.Name, f.Label, f.Help}
	for _, c := range f.Choices {
		words = append(words, c.Label, c.Note)
	}
	for _, r := range f.Rows {
		words = append(words, r.Label, r.Note)
	}
	return strings.ToLower(strings.Join(words, " "))
}

// Fact is one line of the plan.
type Fact struct {
	Key, Label, Value, Note string
	Exact                   string // the value with every digit, or ""
}
