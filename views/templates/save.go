package templates

import (
	"strconv"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// Save is the form that saves a template.
type Save struct {
	Name, Note, Description ui.Field
	Project                 ui.Field // whose it will be
	Base                    string   // what is saved, as JSON; it travels with the form
	From, FromHref          string   // what it was taken from: words, and an address or ""
	Source                  string   // the same as the server names it; it travels with the form
	Next                    int      // version that it becomes
	Exists                  bool     // the name is that of a template
	Config                  string
	Facts                   []ui.Fact
	Findings                []string // of an import: what was not understood, or was taken out
	General                 []string // mistakes without an input
	Submitted               bool
	Conflict                *Conflict // why it was not saved, or nil
}

// Conflict is a change of a template since its form was opened.
type Conflict struct {
	Text     string
	Newest   run.Template // the newest version, zero when there is no such template any more
	Expected int          // the version that was the newest when the page was made, 0 for none
}

// changes is the address of what was changed since the page was made, "" when there is nothing to compare.
func (c Conflict) changes() string {
	if c.Expected == 0 || c.Newest.Version <= c.Expected {
		return ""
	}
	return ui.DiffPath(versionRef(c.Newest, c.Expected), versionRef(c.Newest, c.Newest.Version))
}

// confirmed is the name that the reader has been told exists, "" for none.
func (s Save) confirmed() string {
	if s.Exists {
		return s.Name.Value
	}
	return ""
}

// follows is the version that saving would follow, 0 for none.
func (s Save) follows() string { return strconv.Itoa(s.Next - 1) }

func (s Save) saveLabel() string {
	if s.Exists {
		return "Save as version " + strconv.Itoa(s.Next)
	}
	return "Save template"
}

func (s Save) mistakes() []ui.Field {
	var out []ui.Field
	for _, f := range []ui.Field{s.Project, s.Name, s.Note, s.Description} {
		if f.Error != "" {
			out = append(out, f)
		}
	}
	return out
}
