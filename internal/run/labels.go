package run

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/fault"
)

// Limits of what people add to a run.
const (
	MaxTags = 20   // tags of a run
	MaxTag  = 40   // characters of a tag
	MaxNote = 4000 // characters of a note
)

// Edit changes what people add to a run: tags, a note, and whether it is archived. What is nil stays.
type Edit struct {
	Tags     *[]string `json:"tags,omitempty" maxItems:"20" doc:"All tags of the run; at most 20, of at most 40 characters, without commas"`
	Tag      []string  `json:"tag,omitempty" maxItems:"20" doc:"Tags to add"`
	Untag    []string  `json:"untag,omitempty" maxItems:"20" doc:"Tags to remove"`
	Note     *string   `json:"note,omitempty" maxLength:"4000" doc:"Plain text, shown with the run; empty removes it"`
	Archived *bool     `json:"archived,omitempty" doc:"Whether lists leave the run out, unless asked; only an ended run can be archived"`
}

// Apply changes the run. What is not valid is [FieldErrors]; to archive a run that has not ended is [fault.ErrNotEnded].
func (e Edit) Apply(r *Run) error {
	tags := r.Options.Tags
	if e.Tags != nil {
		tags = *e.Tags
	}
	tags = slices.DeleteFunc(slices.Concat(tags, e.Tag), func(t string) bool { return slices.Contains(e.Untag, t) })
	slices.Sort(tags)
	tags = slices.Compact(tags)
	if rule, fix := TagsProblem(tags); rule != "" {
		return FieldErrors{{Field: "tags", Value: fault.Quote(strings.Join(tags, ",")), Rule: rule, Fix: fix}}
	}
	if e.Note != nil {
		note := strings.TrimSpace(strings.ReplaceAll(*e.Note, "\r\n", "\n"))
		if n := utf8.RuneCountInString(note); n > MaxNote {
			return FieldErrors{{Field: "note", Value: fault.Quote(note), Rule: fmt.Sprintf("has %d characters, and must have at most %d", n, MaxNote), Fix: "shorten it"}}
		}
		if !utf8.ValidString(note) || strings.ContainsFunc(note, func(c rune) bool { return c != '\n' && c != '\t' && fault.Unseen(c) }) {
			return FieldErrors{{Field: "note", Value: fault.Quote(note), Rule: "holds control characters", Fix: "send plain text"}}
		}
		r.Note = note
	}
	if e.Archived != nil {
		if *e.Archived && !r.State.Terminal() {
			return fault.New(fault.ErrNotEnded, fmt.Sprintf("Run %s is %s and cannot be archived.", r.ID, r.State), "")
		}
		r.Archived = *e.Archived
	}
	if r.Options.Tags = tags; len(tags) == 0 {
		r.Options.Tags = nil
	}
	return nil
}

// TagsProblem is the rule that tags break, and what would pass; "" for none.
func TagsProblem(tags []string) (rule, fix string) {
	if len(tags) > MaxTags {
		return fmt.Sprintf("has %d tags, and must have at most %d", len(tags), MaxTags), "remove some"
	}
	for _, t := range tags {
		if n := utf8.RuneCountInString(t); n > MaxTag {
			return fmt.Sprintf("has a tag of %d characters, and must have at most %d in each", n, MaxTag), "shorten " + strconv.Quote(fault.Quote(t))
		}
		if t == "" || strings.TrimSpace(t) != t || strings.Contains(t, ",") || !utf8.ValidString(t) || strings.ContainsFunc(t, fault.Unseen) {
			return "has a tag that is empty, or holds a comma, control characters or white space around it", "use words such as baseline,paper"
		}
	}
	return "", ""
}

// SplitTags reads tags as people write them, separated by commas.
func SplitTags(text string) []string {
	out := []string{}
	for t := range strings.SplitSeq(text, ",") {
		if t = strings.TrimSpace(t); t != "" {
			out = append(out, t)
		}
	}
	return out
}
