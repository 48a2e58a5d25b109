package run

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/fault"
)

// Limits of what people add to a run.
const (
	MaxTags = 20   // tags of a run
	MaxTag  = 40   // characters of a tag
	MaxNote = 4000 // characters of a note
)

// Edit changes what people add to a run: tags, a note, and whether it is archived. What is nil stays. Several people may edit a run at once:
// tags are added and removed, never written as a whole, and a note replaces only the one that its writer has read.
type Edit struct {
	Tag      []string `json:"tag,omitempty" maxItems:"20" doc:"Tags to add; a run has at most 20, of at most 40 characters, without commas"`
	Untag    []string `json:"untag,omitempty" maxItems:"20" doc:"Tags to remove"`
	Note     *string  `json:"note,omitempty" maxLength:"4000" doc:"Plain text, shown with the run; empty removes it"`
	NoteWas  string   `json:"note_was,omitempty" maxLength:"4000" doc:"The note that this one replaces, as it was read. Where the run has another by now the edit is refused (409) and changes nothing"`
	Archived *bool    `json:"archived,omitempty" doc:"Whether lists leave the run out, unless asked; only an ended run can be archived"`
}

// Apply changes the run, as a whole or not at all. What is not valid is [FieldErrors], a note that somebody else has changed
// [fault.ErrNoteChanged], to archive a run that has not ended [fault.ErrNotEnded].
func (e Edit) Apply(r *Run) error {
	tags := slices.DeleteFunc(slices.Concat(r.Options.Tags, e.Tag), func(t string) bool { return slices.Contains(e.Untag, t) })
	slices.Sort(tags)
	tags = slices.Compact(tags)
	// Tags that a run has from before a rule stay.
	if rule, fix := TagsProblem(slices.DeleteFunc(slices.Clone(tags), func(t string) bool { return !slices.Contains(e.Tag, t) })); rule != "" {
		return FieldErrors{{Field: "tags", Value: fault.Quote(strings.Join(tags, ",")), Rule: rule, Fix: fix}}
	}
	if rule, fix := tooManyTags(tags); rule != "" && len(e.Tag) > 0 {
		return FieldErrors{{Field: "tags", Value: fault.Quote(strings.Join(tags, ",")), Rule: rule, Fix: fix}}
	}
	note := r.Note
	if e.Note != nil {
		var err error
		if note, err = e.note(*r); err != nil {
			return err
		}
	}
	if e.Archived != nil {
		if *e.Archived && !r.State.Terminal() {
			return fault.New(fault.ErrNotEnded, fmt.Sprintf("Run %s is %s and cannot be archived.", r.ID, r.State), "")
		}
		r.Archived = *e.Archived
	}
	r.Note = note
	if r.Options.Tags = tags; len(tags) == 0 {
		r.Options.Tags = nil
	}
	return nil
}

// note is the new note of a run.
func (e Edit) note(r Run) (string, error) {
	note := plainNote(*e.Note)
	if n := utf8.RuneCountInString(note); n > MaxNote {
		return "", FieldErrors{{Field: "note", Value: fault.Quote(note), Rule: fmt.Sprintf("has %d characters, and must have at most %d", n, MaxNote), Fix: "shorten it"}}
	}
	if !utf8.ValidString(note) || strings.ContainsFunc(note, func(c rune) bool { return c != '\n' && c != '\t' && fault.Unseen(c) }) {
		return "", FieldErrors{{Field: "note", Value: fault.Quote(note), Rule: "holds control characters", Fix: "send plain text"}}
	}
	if r.Note != note && r.Note != plainNote(e.NoteWas) {
		return "", fault.New(fault.ErrNoteChanged, fmt.Sprintf("Run %s has another note than the one to be replaced: %s", r.ID, fault.Quote(r.Note)), "Nothing was changed. Read the note again, and send it with yours, as note_was.")
	}
	return note, nil
}

// plainNote is a note as it is stored.
func plainNote(text string) string { return strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")) }

// EditTags is an edit that makes tags of others, as one person has changed them: what others have added or removed meanwhile stays so.
func EditTags(were, are []string) Edit {
	without := func(some, others []string) []string {
		return slices.DeleteFunc(slices.Clone(some), func(t string) bool { return slices.Contains(others, t) })
	}
	return Edit{Tag: without(are, were), Untag: without(were, are)}
}

// TagsProblem is the rule that tags break, and what would pass; "" for none.
func TagsProblem(tags []string) (rule, fix string) {
	for _, t := range tags {
		if n := utf8.RuneCountInString(t); n > MaxTag {
			return fmt.Sprintf("has a tag of %d characters, and must have at most %d in each", n, MaxTag), "shorten " + strconv.Quote(fault.Quote(t))
		}
		if t == "" || strings.TrimSpace(t) != t || strings.Contains(t, ",") || !utf8.ValidString(t) || strings.ContainsFunc(t, fault.Unseen) {
			return "has a tag that is empty, or holds a comma, control characters or white space around it", "use words such as baseline,paper"
		}
		if c := invisible(t); c != 0 {
			return fmt.Sprintf("has the tag %+q with the invisible character %U", t, c), "write it without"
		}
	}
	return tooManyTags(tags)
}

func tooManyTags(tags []string) (rule, fix string) {
	if len(tags) > MaxTags {
		return fmt.Sprintf("has %d tags, and must have at most %d", len(tags), MaxTags), "remove some"
	}
	return "", ""
}

// invisible returns the first character that makes a tag differ from one that looks the same, or 0: format characters such as the zero-width
// space, fillers, and spaces other than the plain one. Joiners and selectors stay where emoji and scripts need them.
func invisible(tag string) rune {
	before := ' '
	for _, c := range tag {
		switch {
		case (c == 0x200C || c == 0x200D) && unicode.In(before, joining...), (c == 0x200D || c == 0xFE0E || c == 0xFE0F) && unicode.In(before, emoji...):
		case unicode.In(c, unseen...), c != ' ' && unicode.Is(unicode.Zs, c), c == 0x2800:
			return c
		}
		before = c
	}
	return 0
}

var (
	unseen  = []*unicode.RangeTable{unicode.Cf, unicode.Co, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point}
	emoji   = []*unicode.RangeTable{unicode.So, unicode.Sk, unicode.Variation_Selector}
	joining = []*unicode.RangeTable{
		unicode.Arabic, unicode.Syriac, unicode.Devanagari, unicode.Bengali, unicode.Gurmukhi, unicode.Gujarati, unicode.Oriya, unicode.Tamil, unicode.Telugu,
		unicode.Kannada, unicode.Malayalam, unicode.Sinhala, unicode.Khmer, unicode.Myanmar,
	}
)

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
