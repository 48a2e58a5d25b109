package templates

import (
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// Entry is one template in a list: a built-in preset, or the newest version of somebody's own.
type Entry struct {
	Project     string // "" for a preset
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

func (e Entry) builtin() bool { return e.Version == 0 }

// ref is how the page of differences names it.
func (e Entry) ref() string {
	if e.builtin() {
		return "preset:" + e.Name
	}
	return "template:" + e.where().String()
}

func (e Entry) where() run.TemplateRef {
	return run.TemplateRef{Project: e.Project, Name: e.Name, Version: e.Version}
}

func (e Entry) path() string { return ui.InProject(ui.TemplatePath(e.Name), e.Project) }

// use is the address of the form filled from it.
func (e Entry) use() string {
	if e.builtin() {
		return "/runs/new?" + url.Values{"preset": {e.Name}}.Encode()
	}
	return "/runs/new?" + url.Values{"template": {e.where().String()}}.Encode()
}

func (e Entry) sweep() string { return "/sweeps/new?" + url.Values{"from": {e.ref()}}.Encode() }

func (e Entry) export() string {
	path := ui.TemplatePath(e.Name) + "/export"
	if e.builtin() {
		return path
	}
	return ui.InProject(path+"?version="+strconv.Itoa(e.Version), e.Project)
}

// List is every template.
type List struct {
	Own, Builtin []Entry
	Import       Import
	Now          time.Time
}

// several reports whether they are of more than one project.
func several(entries []Entry) bool {
	return slices.ContainsFunc(entries, func(e Entry) bool { return e.Project != entries[0].Project })
}

// Import is the form that takes a file, and what was wrong with the last one.
type Import struct {
	Text   string   // as pasted
	Errors []string // a sentence each, with the line
}
