package ui

import (
	"net/url"
	"strconv"

	"github.com/cotrain/cotrain/internal/run"
)

// RunPath is the address of a run.
func RunPath(id run.ID) string { return "/runs/" + string(id) }

// SweepPath is the address of a sweep.
func SweepPath(id run.SweepID) string { return "/sweeps/" + string(id) }

// TemplatePath is the address of a template or a preset.
func TemplatePath(name string) string { return "/templates/" + url.PathEscape(name) }

// VersionPath is the address of one version of a template.
func VersionPath(t run.Template) string {
	return TemplatePath(t.Name) + "?version=" + strconv.Itoa(t.Version)
}

// DiffPath is the address of the differences between two, each named as "run:r-...", "template:name@2" or "preset:name".
func DiffPath(a, b string) string {
	q := url.Values{}
	if a != "" {
		q.Set("a", a)
	}
	if b != "" {
		q.Set("b", b)
	}
	return "/diff?" + q.Encode()
}
