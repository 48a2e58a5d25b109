package storetest

import (
	"errors"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

func testLayouts(t *testing.T, s Store) {
	must(t, s.CreateProject(t.Context(), access.Project{Name: "vision"}))
	is := func(project string, user access.UserID, want string) {
		t.Helper()
		got, err := s.Layout(t.Context(), project, user, run.LayoutRuns)
		must(t, err)
		if got != want {
			t.Errorf("%s in %q has %q, want %q", user, project, got, want)
		}
	}
	set := func(project string, user access.UserID, data string) {
		t.Helper()
		must(t, s.SetLayout(t.Context(), project, user, run.LayoutRuns, data))
	}
	is("vision", "ann", "")
	set("vision", "", `{"a":1}`)
	set("", "ann", `{"b":1}`)
	is("vision", "ann", `{"a":1}`)
	is("", "ann", `{"b":1}`)
	is("", "bob", "")
	set("vision", "ann", `{"c":1}`)
	set("vision", "ann", `{"c":2}`)
	is("vision", "ann", `{"c":2}`)
	is("vision", "bob", `{"a":1}`)
	set("vision", "ann", "")
	is("vision", "ann", `{"a":1}`)
	for name, err := range map[string]error{
		"no JSON":      s.SetLayout(t.Context(), "vision", "ann", run.LayoutRuns, "{"),
		"no such page": s.SetLayout(t.Context(), "vision", "ann", "else", "{}"),
		"too large":    s.SetLayout(t.Context(), "vision", "ann", run.LayoutRuns, `"`+strings.Repeat("x", run.MaxLayout)+`"`),
	} {
		if !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.SetLayout(t.Context(), "gone", "ann", run.LayoutRuns, "{}"); !errors.Is(err, fault.ErrNoProject) {
		t.Errorf("a project that does not exist: %v", err)
	}
}
