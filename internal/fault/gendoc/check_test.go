package main

import (
	"os"
	"strings"
	"testing"
)

func TestNoErrorOfTheProgramIsWithoutAnEntry(t *testing.T) {
	t.Parallel()
	problems, err := check("../../..")
	if err != nil || len(problems) > 0 {
		t.Errorf("%v\n%s", err, strings.Join(problems, "\n"))
	}
}

func TestErrorsWithoutAnEntryAreFound(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		`package fault; const ErrNew Kind = "made_up"`:                    `"made_up" has no entry`,
		`package a; const ErrNew fault.Kind = "made_up"`:                  `"made_up" has no entry`,
		`package a; var x = fault.New("made_up", "", "")`:                 `"made_up" has no entry`,
		`package a; var x = fault.Kind("made_up")`:                        `"made_up" has no entry`,
		`package a; var x = &fault.Error{Kind: "made_up"}`:                `"made_up" has no entry`,
		`package a; var x = &fault.Error{Title: "Oh"}`:                    "without a kind",
		`package a; func f() { http.Error(w, "no", 500) }`:                "past the catalogue",
		`package a; func f() error { return huma.Error404NotFound("x") }`: "past the catalogue",
		`package fault; const ErrNoRun Kind = "no_run"`:                   "",
		`package a; var x = fault.New(fault.ErrNoRun, "", "")`:            "",
		`package a; const Kind = "made_up"; var x = errors.New("x")`:      "",
		`package a; type E huma.ErrorModel; var f = huma.ErrorDetailer.x`: "",
	} {
		got, err := checkFile("internal/a/a.go", []byte(code))
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(got, "\n"); (want == "") != (text == "") || !strings.Contains(text, want) {
			t.Errorf("%s: %q, want %q", code, text, want)
		}
	}
}

func TestTheDocumentHasTheCatalogue(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), begin+catalogue()+end) {
		t.Error("docs/troubleshooting.md has not the catalogue as it is: make generate")
	}
}
