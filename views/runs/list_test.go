package runs

import (
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

// before is how many columns are in front of one, behind the run's name and with its state.
func before(l List, key string) int {
	for i, c := range l.Shown {
		if c.Key == key {
			return i + 1
		}
	}
	return -1
}

func TestTheCellsOfASweepStandUnderTheColumnsOfItsRuns(t *testing.T) {
	t.Parallel()
	for _, keys := range []string{"", "loss", "step,loss", "progress,step,loss,curve", "progress,step,curve", "created", "loss,throughput,metric:mfu:last"} {
		var given []string
		if keys != "" {
			given = strings.Split(keys, ",")
		}
		l := List{Shown: Columns(given, false, false)}
		counts, loss, best := l.sweepSpans()
		if counts+loss+best != 1+l.lives() {
			t.Errorf("%q: %d + %d + %d cells in %d columns", keys, counts, loss, best, 1+l.lives())
		}
		if want := before(l, "loss"); loss == 1 != (want > 0) || loss == 1 && counts != want {
			t.Errorf("%q: the best loss is column %d, the loss is column %d", keys, counts, want)
		}
	}
}

func TestTheColumnOfTheOrderIsShown(t *testing.T) {
	t.Parallel()
	usual := Columns(nil, false, false)
	for sort, want := range map[string]string{"": "", "-created": "", "name": "", "-loss": "", "metric:loss:low": "metric:loss:low", "-metric:eval/loss:last": "metric:eval/loss:last", "-model": "model", "ended": "ended"} {
		o, err := run.ParseOrder(sort)
		if err != nil {
			t.Fatal(err)
		}
		l := List{Shown: WithSorted(usual, o), Filter: Filter{Sort: o}}
		added := 0
		if want != "" {
			added = 1
		}
		if len(l.Shown) != len(usual)+added || want != "" && !l.shows(want) {
			t.Errorf("%q: %d columns, want %d with %q", sort, len(l.Shown), len(usual)+added, want)
		}
		for _, c := range l.Shown {
			if c.Key == want && l.sorted(c) == "" {
				t.Errorf("%q: the column does not say that it is sorted", sort)
			}
		}
	}
}
