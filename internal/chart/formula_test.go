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

func TestAWrongFormulaIsToldWhereItIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                   "is empty",
		"loss -":             "missing after character 6, its last",
		"ä*  ":               `formula = "ä*  ": is not finished: a metric, a number or a parenthesis is missing after character 2`,
		"(loss":              "is not finished",
		"loss loss":          `cannot be read from character 6 on, "loss"`,
		"ä + loss )":         `cannot be read from character 10 on, ")"`,
		"loss + ``":          "has ``, and the name of a metric has 1 to 100 bytes",
		"loss[0] + 1":        `has "loss[0]", which is no number`,
		"loss.mean":          `has "loss.mean", which is no number`,
		"loss % 2":           `has "%", which is no operation`,
		"median(loss)":       "has no function median; use abs, exp",
		"pow(loss)":          "gives pow 1 arguments, which takes 2",
		"1 + 2":              "names no metric; name at least one",
		"a.b(loss)":          `calls "a.b", which is no function`,
		"loss + 'x'":         "has 'x' where a number should be",
		`loss * "train\xff"`: "and the name of a metric has",
	} {
		_, err := ParseFormula(text)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "; ") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestAFormulaOfOneMetricIsThatMetric(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"loss": "loss", "(`train/loss`)": "train/loss", "-loss": "", "loss + 0": "", "exp(loss)": ""} {
		if f, err := ParseFormula(text); err != nil || f.Alone != want {
			t.Errorf("%s is %+v, %v", text, f, err)
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
