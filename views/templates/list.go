package templates

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// Entry is one template in a list: a built-in preset, or the newest version of somebody's own.
type Entry struct {
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
	return fmt.Sprintf("template:%s@%d", e.Name, e.Version)
}

func (e Entry) path() string { return ui.TemplatePath(e.Name) }

// use is the address of the form filled from it.
func (e Entry) use() string {
	if e.builtin() {
		return "/runs/new?" + url.Values{"preset": {e.Name}}.Encode()
	}
	return "/runs/new?" + url.Values{"template": {e.Name + "@" + strconv.Itoa(e.Version)}}.Encode()
}

func (e Entry) sweep() string { return "/sweeps/new?" + url.Values{"from": {e.ref()}}.Encode() }

func (e Entry) export() string {
	if e.builtin() {
		return e.path() + "/export"
	}
	return e.path() + "/export?version=" + strconv.Itoa(e.Version)
}

// List is every template.
type List struct {
	Own, Builtin []Entry
	Import       Import
	Now          time.Time
}

// Import is the form that takes a file, and what was wrong with the last one.
type Import struct {
	Text   string   // as pasted
	Errors []string // a sentence each, with the line
}
