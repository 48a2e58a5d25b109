package nomad

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
)

// jobFileWith is a file with that text.
func jobFileWith(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "site.hcl")
	writeFile(t, path, text)
	return path
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAChangedJobFileIsTakenUpAndABrokenOneIsNot(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	p := &fakeParents{}
	p.serve(f)
	path := jobFileWith(t, "first")
	var told []string
	c.cfg.Job.File = path
	c.cfg.JobFile = func(err error, earlier bool) {
		switch {
		case err == nil:
			told = append(told, "fine")
		case earlier:
			told = append(told, "earlier: "+err.Error())
		default:
			told = append(told, "none: "+err.Error())
		}
	}
	for _, step := range []struct {
		text       string // "-" removes the file
		registered int    // how often the parent was, then
		told       string // "" for nothing
	}{
		{"first", 1, ""},
		{"first", 1, ""},
		{"second", 2, ""},
		{"broken", 2, "earlier: The job file " + path + " cannot be used: "},
		{"broken", 2, ""},
		{"third", 3, "fine"},
		{"", 3, "earlier: The job file " + path + " cannot be used: "},
		{"-", 3, "earlier: The job file " + path + " cannot be used: "},
		{"third", 3, "fine"},
		{strings.Repeat("x", maxJobFile+1), 3, "earlier: The job file " + path + " cannot be used: "},
		{"first", 4, "fine"},
	} {
		told = nil
		if step.text == "-" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		} else {
			writeFile(t, path, step.text)
		}
		if _, err := c.EnsureParent(t.Context(), testShape); err != nil {
			t.Fatalf("with %.20q: %v", step.text, err)
		}
		if p.index != uint64(step.registered) {
			t.Errorf("with %.20q: registered %d times, want %d", step.text, p.index, step.registered)
		}
		if got := strings.Join(told, "\n"); !strings.HasPrefix(got, step.told) || len(told) > 1 || step.told == "" && got != "" {
			t.Errorf("with %.20q: told %q, want %q", step.text, got, step.told)
		}
	}
}

func TestAJobFileThatNeverWorkedStopsRunsAndNamesItself(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	f.HandleFunc("POST /v1/jobs/parse", refuse(400, "Failed to parse job: input.hcl:7,3-9: Unsupported block type"))
	f.HandleFunc("PUT /v1/jobs/parse", refuse(400, "Failed to parse job: input.hcl:7,3-9: Unsupported block type"))
	c.cfg.Job.File = jobFileWith(t, "broken")
	earlier := true
	c.cfg.JobFile = func(_ error, e bool) { earlier = e }
	_, err := c.EnsureParent(t.Context(), testShape)
	if said := fault.Of(err).Text(); !errors.Is(err, ErrJobFile) || !errors.Is(err, fault.ErrInvalid) || !strings.Contains(said, c.cfg.Job.File+" cannot be used: site.hcl:7,3-9") || strings.Contains(said, parsedAs) || earlier {
		t.Errorf("%v, with an earlier version: %t", err, earlier)
	}
	c.cfg.Job.File = ""
	if _, err := c.EnsureParent(t.Context(), testShape); err == nil || errors.Is(err, ErrJobFile) || !strings.Contains(err.Error(), builtIn+":7,3-9") {
		t.Errorf("the built-in file: %v", err)
	}
}

func TestAJobFileWithoutVaultIsRefusedForSecretsThere(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	f.HandleFunc("/v1/jobs/parse", (&fakeParents{}).parse)
	shape := testShape
	shape.Vault = true
	if _, err := c.EnsureParent(t.Context(), shape); !errors.Is(err, fault.ErrInvalid) || errors.Is(err, ErrJobFile) || !strings.Contains(fault.Of(err).Text(), "has no vault block") {
		t.Errorf("%v", err)
	}
}

func TestAJobFileThatFailsForOneShapeAloneIsUsable(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	f.HandleFunc("/v1/jobs/parse", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || strings.Contains(string(body), testShape.ParentJob()) {
			refuse(400, "Failed to parse job: input.hcl:7,3-9: Invalid index")(w, r)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		(&fakeParents{}).parse(w, r)
	})
	c.cfg.Job.File = jobFileWith(t, "one")
	if _, _, err := c.child(t.Context(), testShape); !errors.Is(err, fault.ErrInvalid) || errors.Is(err, ErrJobFile) {
		t.Errorf("%v", err)
	}
}

func TestAJobFileIsNotJudgedWhileNomadIsAway(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	answer := refuse(500, "No cluster leader")
	f.HandleFunc("/v1/jobs/parse", func(w http.ResponseWriter, r *http.Request) { answer(w, r) })
	c.cfg.Job.File = jobFileWith(t, "one")
	c.cfg.JobFile = func(err error, _ bool) { t.Errorf("told %v", err) }
	if _, err := c.jobText(t.Context()); !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("%v, want unavailable", err)
	}
	answer = (&fakeParents{}).parse
	if text, err := c.jobText(t.Context()); err != nil || text != "one" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestANewClientRefusesAJobFileThatIsNone(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"missing": "/no/such/file.hcl", "a folder": t.TempDir(), "empty": jobFileWith(t, "")} {
		if _, err := New(Config{Address: "http://127.0.0.1:1", Job: JobSettings{File: path}}); !errors.Is(err, fault.ErrInvalid) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
