package run_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

func TestTagsThatLookTheSameAreRefused(t *testing.T) {
	t.Parallel()
	for _, tag := range []string{"base\u200bline", "\ufeffx", "a\u00adb", "a\u200db", "a\u200cb", "a\u2060b", "a\u00a0b", "a\u2003b", "x\ufe0f", "\u3164", "\u2800", "a\U000E0041", "a\u061cb", "\u115f", "a\u180eb", "a\ue000"} {
		if rule, _ := run.TagsProblem([]string{tag}); !strings.Contains(rule, "invisible character U+") {
			t.Errorf("%+q: %q", tag, rule)
		}
	}
	for _, tag := range []string{"two words", "größe", "学習", "❤\ufe0f", "👩\u200d💻", "👍🏽", "می\u200cخواهم", "क्\u200dष", "7B", "_", "lr=3e-4"} {
		if rule, _ := run.TagsProblem([]string{tag}); rule != "" {
			t.Errorf("%+q: %s", tag, rule)
		}
	}
}

func TestEditsOfSeveralPeopleAreAllKept(t *testing.T) {
	t.Parallel()
	r := run.Run{ID: "r-0000000001", State: run.Running, Options: run.Options{Tags: []string{"a", "b"}}}
	were := r.Options.Tags
	for _, are := range [][]string{{"a", "b", "ann"}, {"b", "bob"}} { // both have read a and b
		if err := run.EditTags(were, are).Apply(&r); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"ann", "b", "bob"}; !slices.Equal(r.Options.Tags, want) {
		t.Errorf("tags %v, want %v", r.Options.Tags, want)
	}
	write := func(note, was string) error {
		return run.Edit{Tag: []string{fmt.Sprintf("tag of %d", len(note))}, Note: &note, NoteWas: was}.Apply(&r)
	}
	for _, err := range []error{write("one", ""), write("one", ""), write("two\r\nlines", "one\r\n")} {
		if err != nil {
			t.Error(err)
		}
	}
	before := r
	if err := write("three", "one"); !errors.Is(err, fault.ErrNoteChanged) || !errors.Is(err, fault.ErrConflict) || !strings.Contains(err.Error(), "two\nlines") {
		t.Errorf("over a note that was not read: %v", err)
	}
	if err := write("", ""); !errors.Is(err, fault.ErrNoteChanged) {
		t.Errorf("removed unread: %v", err)
	}
	if r.Note != "two\nlines" || !slices.Equal(r.Options.Tags, before.Options.Tags) {
		t.Errorf("a refused edit left %+v", r)
	}
}

func TestATagFromBeforeARuleCanBeKeptAndRemoved(t *testing.T) {
	t.Parallel()
	r := run.Run{Options: run.Options{Tags: []string{"old\u200b"}}}
	if err := (run.Edit{Tag: []string{"new"}}).Apply(&r); err != nil || len(r.Options.Tags) != 2 {
		t.Error(err)
	}
	if err := (run.Edit{Untag: []string{"old\u200b"}}).Apply(&r); err != nil || !slices.Equal(r.Options.Tags, []string{"new"}) {
		t.Errorf("%v, %v", r.Options.Tags, err)
	}
	for range 2 {
		if err := (run.Edit{Tag: []string{"x\u200b"}}).Apply(&r); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("added: %v", err)
		}
	}
}
