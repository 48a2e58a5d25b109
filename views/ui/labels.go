package ui

import (
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
)

// TagClass gives a tag one of six colours, always the same, beside its name.
func TagClass(tag string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(tag)) // never fails
	return "tag-" + strconv.Itoa(int(h.Sum32()%6))
}

// LabelsOf is what a list shows of what people added to a run, to tell when that has changed.
func LabelsOf(r run.Run) string {
	if len(r.Options.Tags) == 0 && r.Note == "" && !r.Archived {
		return ""
	}
	return strings.Join(r.Options.Tags, ",") + "|" + FirstLine(r.Note) + "|" + strconv.FormatBool(r.Archived)
}

// FirstLine is the first line of a text.
func FirstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
