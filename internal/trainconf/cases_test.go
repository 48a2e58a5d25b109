package trainconf_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/trainconf/trainconftest"
)

func TestRulesBetweenFields(t *testing.T) {
	t.Parallel()
	for _, tt := range trainconftest.Cases() {
		t.Run(tt.Name, func(t *testing.T) {
			t.Parallel()
			errs, warns := check(t, tt.Bad, tt.Shape)
			found, others := errs, warns
			if tt.Warning {
				found, others = warns, errs
			}
			broken := func(f run.FieldError) bool { return f.Field == tt.Field && strings.Contains(f.Rule, tt.Rule) }
			i := slices.IndexFunc(found, broken)
			if i < 0 {
				t.Fatalf("no problem with %s that says %q among\n%v\n%v", tt.Field, tt.Rule, errs, warns)
			}
			if !strings.Contains(found[i].Fix, tt.Fix) {
				t.Errorf("the fix is %q, want %q", found[i].Fix, tt.Fix)
			}
			if tt.Warning && len(others) > 0 {
				t.Errorf("a warning came with errors: %v", others)
			}
			errs, warns = check(t, tt.Good, tt.Shape)
			if slices.ContainsFunc(append(errs, warns...), broken) || len(errs) > 0 {
				t.Errorf("after the fix: %v %v", errs, warns)
			}
		})
	}
}

func TestCasesHaveNamesOfTheirOwnAndFieldsThatExist(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range trainconftest.Cases() {
		if _, ok := trainconf.Lookup(c.Field); seen[c.Name] || !ok && c.Field != trainconf.FieldConfig {
			t.Errorf("%q is there twice, or its field %q does not exist", c.Name, c.Field)
		}
		seen[c.Name] = true
		if !trainconf.StatedRules(c.Field, c.Warning) {
			t.Errorf("the reference does not state %q of %s", c.Name, c.Field)
		}
	}
}

// check does what form, API and command line do with a file.
func check(t *testing.T, text string, shape run.Shape) (errs, warns run.FieldErrors) {
	t.Helper()
	r, err := trainconf.RequestOf(run.Submission{Name: "x", Config: text, Shape: shape})
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return r.Check()
}
