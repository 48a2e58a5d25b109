package diff

import (
	"github.com/cotrain/cotrain/views/ui"
)

// Side is one of the two things that are compared.
type Side struct {
	Ref   string // as the address names it
	Title string // what a person calls it; "" while there is none
	Href  string // its page
	Error string // why it cannot be compared, or ""
}

// Row is one field that differs; a side that does not set it is "".
type Row struct {
	Field, Label, Before, After string
}

// kind says in a word what happened to the field.
func (r Row) kind() string {
	switch {
	case r.Before == "":
		return "added"
	case r.After == "":
		return "removed"
	}
	return "changed"
}

func (r Row) icon() string {
	switch r.kind() {
	case "added":
		return "plus"
	case "removed":
		return "minus"
	}
	return "dot"
}

// Section is the fields of one part of the form that differ.
type Section struct {
	Key, Title string
	Rows       []Row
}

// Line is one line of the unified view: '+' only after, '-' only before, ' ' both, '@' where unchanged lines are left out.
type Line struct {
	Op   byte
	Text string
}

func (l Line) class() string {
	switch l.Op {
	case '+':
		return "diff-add"
	case '-':
		return "diff-del"
	case '@':
		return "diff-cut"
	}
	return "diff-same"
}

// Comparison is the comparison of two.
type Comparison struct {
	A, B     Side // before and after
	Choices  []ui.Choice
	Sections []Section
	Lines    []Line // of the TOML; none when it is the same
}

// both is true when there are two things to compare.
func (d Comparison) both() bool { return d.A.Title != "" && d.B.Title != "" }

func (d Comparison) rows() int {
	n := 0
	for _, s := range d.Sections {
		n += len(s.Rows)
	}
	return n
}

// swapped is the address of the same comparison the other way round.
func (d Comparison) swapped() string { return ui.DiffPath(d.B.Ref, d.A.Ref) }

// differs is the verb for so many fields.
func differs(n int) string {
	if n == 1 {
		return "differs"
	}
	return "differ"
}
