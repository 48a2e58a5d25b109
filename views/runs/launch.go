package runs

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
)

// LaunchOptions is what a page knows of a launch beside the launch itself.
type LaunchOptions struct {
	// Reproduce is the command line that makes the same run, "" to leave it out.
	Reproduce string
	// Files is the address below which launch.sh, job.json and config.toml can be read: of a stored run.
	Files string
	// Form is the id of the form that holds what has not been submitted yet: its buttons then send it to FormFiles, which
	// answers with the file. "" where Files is set, or where there is nothing to download.
	Form string
}

// FormFiles is the address below which a posted form of a run becomes launch.sh, job.json or config.toml.
const FormFiles = "/runs/launch/"

// Indented is a job as a person reads it; what is no JSON stays as it is.
func Indented(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return string(raw)
	}
	return b.String()
}

// envLines is an environment as NAME=value lines, to copy.
func envLines(env []run.EnvVar) string {
	var b strings.Builder
	for _, v := range env {
		b.WriteString(v.Name + "=" + v.Value + "\n")
	}
	return b.String()
}

// metaItem is one item of a dispatch's meta.
type metaItem struct{ Name, Value string }

// metaItems are a dispatch's meta by name.
func metaItems(meta map[string]string) []metaItem {
	out := make([]metaItem, 0, len(meta))
	for name, value := range meta {
		out = append(out, metaItem{name, value})
	}
	slices.SortFunc(out, func(a, b metaItem) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func metaLines(meta map[string]string) string {
	var b strings.Builder
	for _, m := range metaItems(meta) {
		b.WriteString(m.Name + "=" + m.Value + "\n")
	}
	return b.String()
}
