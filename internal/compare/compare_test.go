package compare

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-12 || math.IsNaN(a) && math.IsNaN(b) }

func TestTheRankCorrelationIsThatOfKnownData(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		x, y []float64
		want float64
	}{
		"IQ and hours of television":        {[]float64{106, 100, 86, 101, 99, 103, 97, 113, 112, 110}, []float64{7, 27, 2, 50, 28, 29, 20, 12, 6, 17}, -29.0 / 165},
		"any rising curve":                  {[]float64{1e-4, 1e-3, 1e-2, 1}, []float64{1, 2, 30, 31}, 1},
		"any falling curve":                 {[]float64{1, 2, 3}, []float64{9, 8, -7}, -1},
		"ties, as scipy.stats.spearmanr":    {[]float64{1, 2, 2, 3}, []float64{1, 3, 2, 4}, 4.5 / math.Sqrt(4.5*5)},
		"a constant side":                   {[]float64{1, 1, 1}, []float64{1, 2, 3}, math.NaN()},
		"nothing":                           {nil, nil, math.NaN()},
		"a dependence that rises and falls": {[]float64{1, 2, 3, 4, 5}, []float64{4, 1, 0, 1, 4}, 0},
	} {
		if got := Spearman(c.x, c.y); !near(got, c.want) {
			t.Errorf("%s: %g, want %g", name, got, c.want)
		}
	}
}

func TestTheExplainedShareSeesWhatNoCorrelationSees(t *testing.T) {
	t.Parallel()
	up := Explained([]string{"1", "1", "2", "2", "3", "3"}, []float64{5, 6, 1, 2, 5.5, 6.5})
	if !(up > 0.5) {
		t.Errorf("a minimum in the middle explains %g", up)
	}
	// H of Kruskal-Wallis is 7.2 here: (H - k + 1) / (n - k) = 5.2 / 6.
	if got := Explained([]string{"a", "a", "a", "b", "b", "b", "c", "c", "c"}, []float64{1, 2, 3, 4, 5, 6, 7, 8, 9}); !near(got, 5.2/6) {
		t.Errorf("separate groups: %g, want %g", got, 5.2/6)
	}
	if got := Explained([]string{"a", "b", "a", "b"}, []float64{1, 2, 4, 3}); got != 0 {
		t.Errorf("groups of one mean: %g", got)
	}
	for name, keys := range map[string][]string{"one group": {"a", "a", "a"}, "each its own": {"a", "b", "c"}} {
		if got := Explained(keys, []float64{1, 2, 3}); !math.IsNaN(got) {
			t.Errorf("%s: %g", name, got)
		}
	}
}

func TestImportancesLeaveOutRunsWithoutAValueAndConstantSettings(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	fields := []Field{
		{Name: "constant where it counts", Values: []string{"a", "a", "a", "b", "c", "a"}},
		{Name: "words", Values: []string{"x", "x", "y", "y", "y", "y"}},
		{Name: "lr", Values: []string{"1", "2", "3", "9", "0", "4"}},
	}
	got, n := Importances(fields, []float64{4, 3, 2, nan, inf, 1})
	if n != 4 || len(got) != 2 || got[0].Field.Name != "lr" || !near(got[0].Rho, -1) || got[0].Different != 4 || !math.IsNaN(got[0].Explained) {
		t.Errorf("%d runs, %+v", n, got)
	}
	if diff := cmp.Diff([]string{"x", "x", "y", "y"}, got[1].Field.Values); diff != "" || !math.IsNaN(got[1].Rho) || got[1].Explained <= 0 {
		t.Errorf("%+v %s", got[1], diff)
	}
	if fields[0].Values[3] != "b" {
		t.Error("the fields were changed")
	}
	if got, n := Importances(fields, []float64{nan, nan, nan, nan, nan, nan}); n != 0 || got != nil {
		t.Errorf("of nothing: %d %v", n, got)
	}
}

func TestTheDirectionOfAMetricIsGuessedFromWholeWords(t *testing.T) {
	t.Parallel()
	want := map[string]Direction{
		"loss": Lower, "train/loss": Lower, "val_loss": Lower, "eval-perplexity": Lower, "tokens_per_second": Higher, "eval/acc": Higher, "mfu": Higher,
		"lr": Neutral, "learning_rate": Neutral, "accelerator": Neutral, "grad_norm": Neutral, "lossless": Neutral, "=val_loss - loss": Neutral, "": Neutral,
	}
	got := map[string]Direction{}
	for name := range want {
		got[name] = DirectionOf(name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if Lower.Judge(1, 2) != 1 || Lower.Judge(3, 2) != -1 || Higher.Judge(3, 2) != 1 || Neutral.Judge(1, 2) != 0 || Lower.Judge(2, 2) != 0 || Lower.Judge(math.NaN(), 2) != 0 {
		t.Error("a value is judged wrongly")
	}
}

func TestADifferenceIsAbsoluteAndInPercent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value, base float64
		want        Delta
		ok          bool
	}{
		{3, 2, Delta{1, 50}, true},
		{-3, -2, Delta{-1, -50}, true},
		{1, 0, Delta{1, math.NaN()}, true},
		{math.NaN(), 1, Delta{}, false},
		{1, math.Inf(1), Delta{}, false},
	} {
		if got, ok := DeltaOf(c.value, c.base); ok != c.ok || !cmp.Equal(got, c.want, cmpopts.EquateNaNs()) {
			t.Errorf("%g to %g: %v %v", c.value, c.base, got, ok)
		}
	}
}
