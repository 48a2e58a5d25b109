package trainconf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Type is the kind of value that a field holds.
type Type string

// The types of fields. In TOML, String, Choice, StringList and Ratio are strings. Duration, Lines and Text are those of
// fields that are not CotrainCore's.
const (
	String     Type = "string"
	Choice     Type = "choice"      // one of Field.Choices
	Int        Type = "int"         // 64-bit whole number
	Float      Type = "float"       // finite
	Bool       Type = "bool"        // true or false
	IntOrBool  Type = "int-or-bool" // train.ac_ckpt: true, false, or every how many layers
	StringList Type = "string-list" // items separated by commas, without white space around them
	Ratio      Type = "ratio"       // numbers separated by colons
	Duration   Type = "duration"    // whole seconds written as "2h30m"; bounds are in seconds
	Lines      Type = "lines"       // one item a line
	Text       Type = "text"        // text of several lines
)

// Field describes one setting: of CotrainCore, or of the run around it (see [PlacementFields]).
type Field struct {
	Path    string   // TOML path: "optim.batch_size"; without a dot for what is not in the TOML: "nodes"
	Section string   // Key of the [Section] of the form that it belongs to
	Label   string   // what a person calls it
	Help    string   // one or two sentences
	Unit    string   // "steps", "tokens", "" when it has none
	Type    Type     //
	Default string   // canonical text of what the core uses when it is not set, "" for nothing
	Choices []string // what a Choice may be
	Min     *float64 // smallest number allowed, nil for any
	Max     *float64 // greatest number allowed, nil for any
	MinOpen bool     // Min itself is not allowed
	MaxOpen bool     // Max itself is not allowed
	// Required fields must be set as soon as any field of their TOML table is.
	Required bool
	// Basic fields are shown first; the others are folded.
	Basic bool
	// Output fields name a folder, or an address, that a run writes into: [RunPlaceholder] is filled in there. Unless it is
	// Shared the files in it have the names that every run gives, so that two runs at one time would overwrite each other's.
	Output, Shared bool
	// Input fields name folders or files that a run reads.
	Input bool
	// Secret values are never shown, and never stored with a run.
	Secret      bool
	Placeholder string // an example that passes, for fields without a default
	Keywords    string // more words to find it by, besides path, label and help
	MaxChars    int    // most characters of a Text, or of one item of a list; 0 for the type's own limit
	MaxItems    int    // most items of a list or lines; 0 for no limit of their number
}

// Section is one group of fields on the form.
type Section struct {
	Key   string // what Field.Section holds
	Title string
}

// Sections lists the groups of the form in display order.
func Sections() []Section {
	return []Section{
		{"run", "Run"},
		{"model", "Model"},
		{"data", "Data"},
		{"optim", "Optimiser and schedule"},
		{"diloco", "DiLoCo"},
		{"performance", "Performance"},
		{"checkpoints", "Checkpoints"},
		{"logging", "Logging"},
		{"placement", "Placement"},
		{"retries", "Retries"},
		{"watch", "Hangs and losses"},
	}
}

// Fields returns every field of CotrainCore in the order of the TOML. The caller may change the slice, not what its elements
// point to.
func Fields() []Field { return slices.Clone(schema[:]) }

// OutputFields returns the paths of the fields that name where a run writes, and OwnFolders those of which two runs must not
// share one.
func OutputFields() []string { return pathsOf(func(f Field) bool { return f.Output }) }

// OwnFolders is described with [OutputFields].
func OwnFolders() []string { return pathsOf(func(f Field) bool { return f.Output && !f.Shared }) }

// PathFields returns the paths of all fields that name a folder, a file or an address.
func PathFields() []string { return pathsOf(func(f Field) bool { return f.Output || f.Input }) }

func pathsOf(want func(Field) bool) []string {
	var out []string
	for _, f := range schema {
		if want(f) {
			out = append(out, f.Path)
		}
	}
	return out
}

// AllFields returns every field that a person can set on a run but its name: section by section in display order.
func AllFields() []Field {
	out := make([]Field, 0, len(schema)+len(placement))
	for _, s := range Sections() {
		out = append(out, FieldsOf(s.Key)...)
	}
	return out
}

// FieldsOf returns the fields of one section of the form, in the order of the TOML.
func FieldsOf(section string) []Field {
	var out []Field
	for _, table := range [][]Field{schema[:], placement[:]} {
		for _, f := range table {
			if f.Section == section {
				out = append(out, f)
			}
		}
	}
	return out
}

// Lookup returns the field with this path: one of CotrainCore, one of [PlacementFields], or "name".
func Lookup(path string) (Field, bool) {
	if i, ok := schemaIndex[path]; ok {
		return schema[i], true
	}
	if i := placementIndex(path); i >= 0 {
		return placement[i], true
	}
	if path == FieldName {
		return nameField, true
	}
	return Field{}, false
}

// Env is the environment variable that overrides the field, "" for one that is not CotrainCore's.
func (f Field) Env() string { return EnvName(f.Path) }

// Matches reports whether every word of a search is part of the field's path, label, help or keywords; case does not matter.
func (f Field) Matches(search string) bool {
	text := strings.ToLower(f.Path + "\n" + f.Label + "\n" + f.Help + "\n" + f.Keywords + "\n" + f.Env())
	for w := range strings.FieldsSeq(strings.ToLower(search)) {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// Table is the TOML table that the field stands in, "" for the top.
func (f Field) Table() string {
	if i := strings.LastIndexByte(f.Path, '.'); i >= 0 {
		return f.Path[:i]
	}
	return ""
}

// Key is the field's name within its table.
func (f Field) Key() string { return f.Path[strings.LastIndexByte(f.Path, '.')+1:] }

// Example is a value that passes on its own: the default where there is one.
func (f Field) Example() string {
	switch {
	case f.Default != "":
		return f.Default
	case f.Placeholder != "":
		return f.Placeholder
	case len(f.Choices) > 0:
		return f.Choices[0]
	}
	return ""
}

// Rule says in words what the field accepts: "a whole number from 1 to 64".
func (f Field) Rule() string {
	if rule := placementRule(f.Path); rule != "" {
		return rule
	}
	switch f.Type {
	case Choice:
		return "one of " + strings.Join(f.Choices, ", ")
	case Int:
		return "a whole number" + f.bounds()
	case Float:
		return "a number" + f.bounds()
	case Bool:
		return "true or false"
	case IntOrBool:
		return "true, false, or a whole number" + f.bounds()
	case StringList:
		return "one or more items separated by commas"
	case Ratio:
		return "positive numbers separated by colons"
	case Duration:
		return fmt.Sprintf("a duration from %s to %s, such as 2h30m", FormatDuration(int64(*f.Min)), FormatDuration(int64(*f.Max)))
	case Text:
		return fmt.Sprintf("text of at most %d characters", f.MaxChars)
	}
	return "text of at most " + strconv.Itoa(maxText) + " bytes on one line"
}

func (f Field) bounds() string {
	low, high := "from ", "to "
	if f.MinOpen {
		low = "more than "
	}
	if f.MaxOpen {
		high = "less than "
	}
	switch {
	case f.Min != nil && f.Max != nil && !f.MinOpen && !f.MaxOpen:
		return " " + low + plain(*f.Min) + " " + high + plain(*f.Max)
	case f.Min != nil && f.Max != nil:
		if !f.MinOpen {
			low = "at least "
		}
		if !f.MaxOpen {
			high = "at most "
		}
		return ", " + low + plain(*f.Min) + " and " + high + plain(*f.Max)
	}
	return ""
}

// plain prints a bound without an exponent.
func plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
