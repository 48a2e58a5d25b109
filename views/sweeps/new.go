package sweeps

import (
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/views/ui"
)

// Form is the form for a new sweep.
type Form struct {
	Name     ui.Field
	Parallel ui.Field
	Project  ui.Field // whose runs they will be
	List     bool     // a list of runs instead of a grid
	Rows     []Axis
	Fields   []FieldChoice // what can be varied
	Base     string        // what is varied, as JSON; it travels with the form
	From     string        // what it was taken from, in words
	FromHref string
	Source   string    // the same as the server names it; it travels with the form
	Facts    []ui.Fact // of the base
	Key      string    // makes a repeated submission return the first one's sweep
	Preview  Preview
	// Shared are folders that all runs would write into; OwnFolders gives each run its own below them.
	Shared     []ui.Fact
	OwnFolders bool

	Submitted bool
	General   []string
}

// Axis is one row of the form: a field and its values as typed.
type Axis struct {
	Number        int // from 1
	Field, Values string
	Current       string // what the base has, "" for not known
	Error         string
}

func (a Axis) id() string { return "axis-" + strconv.Itoa(a.Number) }

// FieldChoice is a field that can be varied.
type FieldChoice struct {
	Path, Label string
}

// Point is one run that the sweep would make.
type Point struct {
	Number int
	Values []string // of the columns
	GPUs   int
	Errors []string
}

// Preview is the runs that the form would make.
type Preview struct {
	Problem string // why there are none yet, or ""
	Columns []Column
	Points  []Point // the first of them
	More    int     // how many follow those
	Total   int
	Broken  int       // how many have errors
	Facts   []ui.Fact // the total cost
	Warning string
}

// choiceGroup is what can be chosen of one kind.
type choiceGroup struct {
	Label   string
	Choices []ui.Choice
}

// choiceGroups are presets, templates and runs apart.
func choiceGroups(choices []ui.Choice) []choiceGroup {
	groups := []choiceGroup{{Label: "Presets"}, {Label: "Templates"}, {Label: "Runs"}}
	for _, c := range choices {
		kind, _, _ := strings.Cut(c.Value, ":")
		i := max(0, slices.Index([]string{"preset", "template", "run"}, kind))
		groups[i].Choices = append(groups[i].Choices, c)
	}
	return slices.DeleteFunc(groups, func(g choiceGroup) bool { return len(g.Choices) == 0 })
}

func (f Form) mistakes() []string {
	var out []string
	for _, x := range []ui.Field{f.Name, f.Parallel} {
		if x.Error != "" {
			out = append(out, x.Label+": "+x.Error)
		}
	}
	for _, a := range f.Rows {
		if a.Error != "" {
			out = append(out, "Field "+strconv.Itoa(a.Number)+": "+a.Error)
		}
	}
	if f.Preview.Broken > 0 && len(f.General) == 0 {
		out = append(out, ui.Plural(f.Preview.Broken, "invalid run")+": see the list.")
	}
	return append(out, f.General...)
}

func (f Form) submitLabel() string {
	if f.Preview.Total == 0 || f.Preview.Problem != "" {
		return "Start sweep"
	}
	return "Start " + ui.Plural(f.Preview.Total, "run")
}
