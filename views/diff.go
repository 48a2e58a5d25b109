package views

// DiffSide is one of the two things that are compared.
type DiffSide struct {
	Ref   string // as the address names it
	Title string // what a person calls it; "" while there is none
	Href  string // its page
	Error string // why it cannot be compared, or ""
}

// DiffChoice is something that can be compared.
type DiffChoice struct {
	Ref, Label string
}

// DiffRow is one field that differs; a side that does not set it is "".
type DiffRow struct {
	Field, Label, Before, After string
}

// kind says in a word what happened to the field.
func (r DiffRow) kind() string {
	switch {
	case r.Before == "":
		return "added"
	case r.After == "":
		return "removed"
	}
	return "changed"
}

func (r DiffRow) icon() string {
	switch r.kind() {
	case "added":
		return "plus"
	case "removed":
		return "minus"
	}
	return "dot"
}

// DiffSection is the fields of one part of the form that differ.
type DiffSection struct {
	Key, Title string
	Rows       []DiffRow
}

// DiffLine is one line of the unified view: '+' only after, '-' only before, ' ' both, '@' where unchanged lines are left out.
type DiffLine struct {
	Op   byte
	Text string
}

func (l DiffLine) class() string {
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

// Diff is the comparison of two.
type Diff struct {
	A, B     DiffSide // before and after
	Choices  []DiffChoice
	Sections []DiffSection
	Lines    []DiffLine // of the TOML; none when it is the same
}

// both is true when there are two things to compare.
func (d Diff) both() bool { return d.A.Title != "" && d.B.Title != "" }

func (d Diff) rows() int {
	n := 0
	for _, s := range d.Sections {
		n += len(s.Rows)
	}
	return n
}

// swapped is the address of the same comparison the other way round.
func (d Diff) swapped() string { return diffPath(d.B.Ref, d.A.Ref) }

// differs is the verb for so many fields.
func differs(n int) string {
	if n == 1 {
		return "differs"
	}
	return "differ"
}
