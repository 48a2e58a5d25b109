package form

import (
	"encoding/json"
	"net/http"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/page"
	"github.com/cotrain/cotrain/views/ui"
)

// MaxBody bounds the body of a form that carries a whole submission, in bytes: a configuration of 16 KiB and options of
// 10 KiB, which JSON and then the form's encoding make longer.
const MaxBody = 256 << 10

// Names of the inputs that carry what a page was opened with.
const (
	InputBase = "base" // a [run.Submission] as JSON
	InputFrom = "from" // where that came from: FromForm, FromFile, or a reference as [References.Find] reads it
	FromForm  = "form"
	FromFile  = "file"
)

// Carry is a submission as it travels with a form.
func Carry(sub run.Submission) string {
	b, err := json.Marshal(sub)
	if err != nil { // strings, numbers, and maps of strings
		return "{}"
	}
	return string(b)
}

// ReadCarried reads what [Carry] wrote; whatever else comes is a form that this console has not made.
func ReadCarried(r *http.Request) (run.Submission, trainconf.Request, error) {
	var sub run.Submission
	if err := json.Unmarshal([]byte(r.PostForm.Get(InputBase)), &sub); err != nil {
		return sub, trainconf.Request{}, page.ErrBadForm
	}
	sub.Key = ""
	req, err := trainconf.RequestOf(sub)
	return sub, req, ignoreFields(err)
}

// SourceOf says in words what a form was opened with, and where its page is.
func SourceOf(from string, sub run.Submission) (words, href string) {
	ref, err := trainconf.ParseRef(InputFrom, from)
	switch {
	case from == FromFile:
		return "a file", ""
	case err != nil, ref.Template != "" && ref.Version == 0:
		return "the new-run form", ""
	case ref.Run != "":
		return sub.Name, ui.RunPath(ref.Run)
	case ref.Preset != "":
		return "preset " + ref.Preset, ui.TemplatePath(ref.Preset)
	}
	t := run.Template{Name: ref.Template, Version: ref.Version}
	return "template " + t.Ref(), ui.VersionPath(t)
}
