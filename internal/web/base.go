package web

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// maxBaseForm bounds the body of a form that carries a whole submission, in bytes: a configuration of 16 KiB and options of
// 10 KiB, which JSON and then the form's encoding make longer.
const maxBaseForm = 256 << 10

// Names of the inputs that carry what a page was opened with.
const (
	inputBase = "base" // a [run.Submission] as JSON
	inputFrom = "from" // where that came from: fromForm, fromFile, or a reference as [Server.subjectOf] reads it
	fromForm  = "form"
	fromFile  = "file"
)

// baseText is a submission as it travels with a form.
func baseText(sub run.Submission) string {
	b, err := json.Marshal(sub)
	if err != nil { // strings, numbers, and maps of strings
		return "{}"
	}
	return string(b)
}

// readBase reads what [baseText] wrote; whatever else comes is a form that this console has not made.
func readBase(r *http.Request) (run.Submission, trainconf.Request, error) {
	var sub run.Submission
	if err := json.Unmarshal([]byte(r.PostForm.Get(inputBase)), &sub); err != nil {
		return sub, trainconf.Request{}, errBadForm
	}
	sub.Key = ""
	req, err := trainconf.RequestOf(sub)
	return sub, req, ignoreFields(err)
}

// sourceOf says in words what a form was opened with, and where its page is.
func sourceOf(from string, sub run.Submission) (words, href string) {
	kind, name, _ := strings.Cut(from, ":")
	switch kind {
	case fromFile:
		return "a file", ""
	case "run":
		if id, err := run.ParseID(name); err == nil {
			return sub.Name, "/runs/" + string(id)
		}
	case "preset":
		if p, ok := trainconf.PresetByName(name); ok {
			return "the preset " + p.Name, "/templates/" + p.Name
		}
	case "template":
		if base, version, ok := run.ParseTemplateRef(name); ok && version > 0 {
			return "the template " + name, templateHref(run.Template{Name: base, Version: version}, "")
		}
	}
	return "the form for a new run", ""
}
