package form

import (
	"encoding/json"
	"net/http"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/page"
	"github.com/cotrain/cotrain/views/ui"
)

// MaxBody bounds a form with a whole submission: 16 KiB of configuration and 10 KiB of options, doubly encoded.
const MaxBody = 256 << 10

// Inputs that carry the submission a page was opened with.
const (
	InputBase = "base" // a [run.Submission] as JSON
	InputFrom = "from" // its source: FromForm, FromFile, or a reference for [References.Find]
	FromForm  = "form"
	FromFile  = "file"
)

// Carry encodes a submission for a form.
func Carry(sub run.Submission) string {
	b, err := json.Marshal(sub)
	if err != nil { // strings, numbers, and maps of strings
		return "{}"
	}
	return string(b)
}

// ReadCarried decodes [Carry]'s result; anything else is [page.ErrBadForm].
func ReadCarried(r *http.Request) (run.Submission, trainconf.Request, error) {
	var sub run.Submission
	if err := json.Unmarshal([]byte(r.PostForm.Get(InputBase)), &sub); err != nil {
		return sub, trainconf.Request{}, page.ErrBadForm
	}
	sub.Key = ""
	req, err := trainconf.RequestOf(sub)
	return sub, req, ignoreFields(err)
}

// SourceOf names a form's source and links to it.
func SourceOf(from string, sub run.Submission) (words, href string) {
	ref, err := trainconf.ParseRef(InputFrom, from)
	switch {
	case from == FromFile:
		return "a file", ""
	case err != nil, ref.Template.Name != "" && ref.Template.Version == 0:
		return "the new-run form", ""
	case ref.Run != "":
		return sub.Name, ui.RunPath(ref.Run)
	case ref.Preset != "":
		return "preset " + ref.Preset, ui.TemplatePath(ref.Preset)
	}
	return "template " + ref.Template.Label(), ui.VersionPath(ref.Template)
}
