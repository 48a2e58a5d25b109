package chart

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/fault"
)

func TestAFormulaIsEvaluatedAsItReads(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{
		"a":                       2,
		"-a + b*4":                10,
		"(a - b) / a":             -0.5,
		"exp(log(a))":             2,
		"pow(a, 3) - min(a, b)":   6,
		"`train/loss` + abs(0-a)": 3,
		"a + 1e-3":                2.001,
	} {
		f, err := ParseFormula(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		values := make([]float64, len(f.Metrics))
		for i, name := range f.Metrics {
			values[i] = map[string]float64{"a": 2, "b": 3, "train/loss": 1}[name]
		}
		if got := f.eval(values); math.Abs(got-want) > 1e-12 {
			t.Errorf("%s = %g, want %g", text, got, want)
		}
	}
}

func TestAFormulaNamesEachMetricOnce(t *testing.T) {
	t.Parallel()
	f, err := ParseFormula("loss * loss - val_loss")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"loss", "val_loss"}, f.Metrics); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsNoFormulaIsRefusedWithAFix(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "1 + 2", "loss +", "loss[0]", "loss.mean", "func() {}", "loss == 1", "loss % 2", "eval(loss)", "exp(loss, 1)", "exp()", `'x'`,
		"a+b+c+d+e+f+g+h+i", "loss" + strings.Repeat("+1", 300), strings.Repeat("(", 390), "1i * loss", "len(loss...)", "&loss", "\x00",
	} {
		_, err := ParseFormula(text)
		if err == nil || fault.Of(err).Kind != fault.Of(fault.ErrInvalid).Kind && !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzFormula(f *testing.F) {
	f.Add("exp(loss) - `a/b`")
	f.Add("((((1")
	f.Fuzz(func(t *testing.T, text string) {
		if formula, err := ParseFormula(text); err == nil {
			formula.eval(make([]float64, len(formula.Metrics)))
		}
	})
}
