package chart_test

import (
	"encoding/json"
	"net/url"
	"testing"

	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/store/points"
)

// TestTheNumbersOfARangeAreOfItsPointsAlone asks for one column of a range with its newest value, as the table of metrics does.
func TestTheNumbersOfARangeAreOfItsPointsAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t, openStore(t), 1, 1)
	var pts []points.Point
	for step := int64(1); step <= 1000; step++ {
		v := float64(step)
		if step == 300 {
			v = -7
		}
		pts = append(pts, points.Point{Metric: "score", Step: step, Value: v}, points.Point{Metric: "other", Step: step, Value: 2 * v})
	}
	f.report(t, 1, 0, epoch, pts)
	r, err := f.Run(t.Context(), f.id)
	if err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string][5]float64{ // newest step and value, lowest, highest, points
		"metric=score&from=250&to=520":          {520, 520, -7, 520, 271},
		"metric=score&from=301&to=520":          {520, 520, 301, 520, 220},
		"metric=%3Dscore%2Bother&from=10&to=20": {20, 60, 30, 60, 11},
		"metric=score":                          {1000, 1000, -7, 1000, 1000},
	} {
		v, err := url.ParseQuery(query + "&px=1&newest=1")
		if err != nil {
			t.Fatal(err)
		}
		q, err := chart.ParseQuery(v)
		if err != nil {
			t.Fatal(err)
		}
		a, err := chart.New(f).Answer(t.Context(), r, q)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Series []struct {
				Min, Max, Newest []float64
				Points           float64
			}
		}
		if err := json.Unmarshal(a.AppendJSON(nil), &got); err != nil || len(got.Series) != 1 {
			t.Fatalf("%s: %v, %d series", query, err, len(got.Series))
		}
		s := got.Series[0]
		if len(s.Min) != 1 || len(s.Newest) != 2 || [5]float64{s.Newest[0], s.Newest[1], s.Min[0], s.Max[0], s.Points} != want {
			t.Errorf("%s: %v, want %v", query, s, want)
		}
	}
}
