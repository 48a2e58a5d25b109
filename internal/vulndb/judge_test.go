package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOnlyWhatAModuleDoesWrongAndIsCalledFails(t *testing.T) {
	t.Parallel()
	const (
		reports  = `{"osv":{"id":"GO-1","summary":"Bad TLS"}}{"osv":{"id":"GO-2","summary":"Bad zip"}}{"config":{}}`
		library  = `{"finding":{"osv":"GO-1","fixed_version":"v1.26.9","trace":[{"module":"stdlib","version":"v1.26.8","package":"crypto/tls","function":"Read"},{"module":"m","position":{"filename":"serve.go","line":7}}]}}`
		required = `{"finding":{"osv":"GO-2","fixed_version":"v1.2.0","trace":[{"module":"example.org/zip","version":"v1.1.0"}]}}`
		called   = `{"finding":{"osv":"GO-2","fixed_version":"v1.2.0","trace":[{"module":"example.org/zip","version":"v1.1.0","package":"example.org/zip/lib","function":"Open"}]}}`
	)
	for name, test := range map[string]struct {
		found string
		fails bool
		told  int
	}{
		"nothing":          {reports, false, 0},
		"Go's own, twice":  {reports + library + library, false, 1},
		"required alone":   {reports + library + required, false, 1},
		"called":           {reports + required + called + called, true, 1},
		"called, and Go's": {reports + called + library, true, 2},
	} {
		file := filepath.Join(t.TempDir(), "found.json")
		if err := os.WriteFile(file, []byte(test.found), 0o600); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := judge(file, &out); errors.Is(err, errWeak) != test.fails || strings.Count(out.String(), "\n") != test.told {
			t.Errorf("%s: %v, %s", name, err, out.String())
		}
	}
	if err := judge(filepath.Join(t.TempDir(), "none"), os.Stderr); err == nil {
		t.Error("what was not found out passes")
	}
}
