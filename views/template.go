package views

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// TemplateEntry is one template in a list: a built-in preset, or the newest version of somebody's own.
type TemplateEntry struct {
	Name        string
	Version     int // 0 for a preset
	Title       string
	Description string // what it is for
	Model       string
	DiLoCo      bool
	Shape       run.Shape
	Note        string // of the version
	Actor       string
	ChangedAt   time.Time // zero for a preset
}

func (e TemplateEntry) builtin() bool { return e.Version == 0 }

// ref is how the page of differences names it.
func (e TemplateEntry) ref() string {
	if e.builtin() {
		return "preset:" + e.Name
	}
	return fmt.Sprintf("template:%s@%d", e.Name, e.Version)
}

func (e TemplateEntry) path() string { return templatePath(e.Name) }

// use is the address of the form that begins from it.
func (e TemplateEntry) use() string {
	if e.builtin() {
		return "/runs/new?" + url.Values{"preset": {e.Name}}.Encode()
	}
	return "/runs/new?" + url.Values{"template": {e.Name + "@" + strconv.Itoa(e.Version)}}.Encode()
}

func (e TemplateEntry) sweep() string { return "/sweeps/new?" + url.Values{"from": {e.ref()}}.Encode() }

func (e TemplateEntry) export() string {
	if e.builtin() {
		return e.path() + "/export"
	}
	return e.path() + "/export?version=" + strconv.Itoa(e.Version)
}

func templatePath(name string) string { return "/templates/" + url.PathEscape(name) }

// diffPath is the address of the differences between two, each named as "run:r-...", "template:name@2" or "preset:name".
func diffPath(a, b string) string {
	q := url.Values{}
	if a != "" {
		q.Set("a", a)
	}
	if b != "" {
		q.Set("b", b)
	}
	return "/diff?" + q.Encode()
}

// TemplateList is every template.
type TemplateList struct {
	Own, Builtin []TemplateEntry
	Import       TemplateImport
	Now          time.Time
}

// TemplateImport is the form that takes a file, and what was wrong with the last one.
type TemplateImport struct {
	Text   string   // as pasted
	Errors []string // a sentence each, with the line
}

// TemplateDetail is one version of a template, or a preset.
type TemplateDetail struct {
	Entry    TemplateEntry
	Newest   int            // version, 0 for a preset
	Versions []run.Template // newest first; none for a preset
	Config   string
	Facts    []Fact // its shape and options, those that are set
	Saved    string // what saving did, to somebody who just has, or ""
	Now      time.Time
}

func versionPath(t run.Template) string {
	return templatePath(t.Name) + "?version=" + strconv.Itoa(t.Version)
}

// versionRef names a version on the page of differences.
func versionRef(name string, version int) string {
	return fmt.Sprintf("template:%s@%d", name, version)
}

// TemplateDeleteConfirm asks before a template is deleted.
func TemplateDeleteConfirm(name string, versions int) Confirm {
	return Confirm{
		Key: "delete-template", Title: fmt.Sprintf("Delete the template “%s”?", name), Icon: "trash", Label: "Delete the template", KeepLabel: "Keep it",
		Effects: []string{
			plural(versions, "version") + " will be deleted and cannot be brought back. An export keeps one as a file.",
			"Runs and sweeps that were made from it are not touched: each has its own copy of the configuration.",
		},
		Action: templatePath(name) + "/delete", Back: templatePath(name),
	}
}

// TemplateSave is the form that saves a template.
type TemplateSave struct {
	Name, Note, Description Field
	Base                    string // what is saved, as JSON; it travels with the form
	From, FromHref          string // what it was taken from: words, and an address or ""
	Source                  string // the same as the server names it; it travels with the form
	Next                    int    // version that it becomes
	Exists                  bool   // the name is that of a template
	Config                  string
	Facts                   []Fact
	Findings                []string // of an import: what was not understood, or was taken out
	General                 []string // mistakes without an input
	Submitted               bool
	Conflict                *TemplateConflict // why the last try to save did not, or nil
}

// TemplateConflict is what happened to a template while a page that was to save it was open.
type TemplateConflict struct {
	Text     string
	Newest   run.Template // the newest version, zero when there is no such template any more
	Expected int          // the version that was the newest when the page was made, 0 for none
}

// changes is the address of what was changed since the page was made, "" when there is nothing to compare.
func (c TemplateConflict) changes() string {
	if c.Expected == 0 || c.Newest.Version <= c.Expected {
		return ""
	}
	return diffPath(versionRef(c.Newest.Name, c.Expected), versionRef(c.Newest.Name, c.Newest.Version))
}

// confirmed is the name that the reader has been told exists, "" for none.
func (s TemplateSave) confirmed() string {
	if s.Exists {
		return s.Name.Value
	}
	return ""
}

// follows is the version that saving would follow, 0 for none.
func (s TemplateSave) follows() string { return strconv.Itoa(s.Next - 1) }

func (s TemplateSave) saveLabel() string {
	if s.Exists {
		return "Save as version " + strconv.Itoa(s.Next)
	}
	return "Save the template"
}

func (s TemplateSave) mistakes() []Field {
	var out []Field
	for _, f := range []Field{s.Name, s.Note, s.Description} {
		if f.Error != "" {
			out = append(out, f)
		}
	}
	return out
}
