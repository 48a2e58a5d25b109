package api_test

import (
	"encoding/base64"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

func TestMetricsKeepNumbersThatAreNotFinite(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.Add(run.Run{State: run.Running})
	points := []points.WorkerPoint{{Rank: 0, Step: 1, Value: 4.5, At: 1000}, {Rank: 0, Step: 2, Value: run.Number(math.NaN())}, {Rank: 1, Step: 2, Value: run.Number(math.Inf(-1))}}
	var curve []run.CurvePoint
	for step := range int64(100) {
		curve = append(curve, run.CurvePoint{Step: step, Mean: math.NaN(), Min: float64(step), Workers: 2})
	}
	f.SetMetric(id, "loss", points, curve)
	f.SetMetric(id, "mfu", nil, nil)
	target := "/api/v1/runs/" + string(id) + "/metrics"

	type answer struct {
		Run     run.ID
		Names   []string
		Metrics map[string][]struct {
			Worker int
			Step   int64
			Value  run.Number
			At     string
		}
		Curves map[string][]run.CurvePoint
	}
	all := get[answer](f, target)
	if all.Run != id || !slices.Equal(all.Names, []string{"loss", "mfu"}) || len(all.Metrics) != 0 {
		t.Errorf("%+v", all)
	}
	w := f.do("GET", target+"?metric=loss&metric=mfu", "")
	got := decode[answer](f, w, 200)
	loss := got.Metrics["loss"]
	if len(loss) != 3 || loss[0].Value != 4.5 || loss[0].At != "1970-01-01T00:00:01Z" || !math.IsNaN(float64(loss[1].Value)) || loss[2].Worker != 1 || !math.IsInf(float64(loss[2].Value), -1) {
		t.Errorf("%s", w.Body)
	}
	if none, ok := got.Metrics["mfu"]; !ok || none == nil || len(none) != 0 {
		t.Errorf("a metric without values is %v", none)
	}
	for query, want := range map[string]string{"?metric=loss&metric=los": "Use loss", "?metric=none%22&mode=curve": "loss, mfu"} {
		if w := f.do("GET", target+query, ""); w.Code != 404 || !strings.Contains(w.Body.String(), "has not reported the metric") || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
	if got := get[answer](f, "/api/v1/runs/"+string(f.Add(run.Run{State: run.Running}))+"/metrics?metric=loss"); len(got.Metrics["loss"]) != 0 {
		t.Errorf("of a run that has reported nothing yet: %+v", got)
	}
	if got := get[answer](f, target+"?metric=loss&from=2"); len(got.Metrics["loss"]) != 2 {
		t.Errorf("from step 2: %+v", got)
	}
	if got := get[answer](f, target+"?metric=loss&mode=curve&from=10"); len(got.Curves["loss"]) != 90 || !math.IsNaN(got.Curves["loss"][0].Mean) || got.Metrics != nil {
		t.Errorf("curve: %+v", got)
	}
}

// metricPage is an answer with values.
type metricPage struct {
	Metrics map[string][]struct {
		Worker int
		Step   int64
	}
	Curves map[string][]struct{ Step int64 }
	Next   string
}

// places are the values of a page as "metric worker/step", those of a curve as "metric step".
func (p metricPage) places(metrics ...string) (out []string) {
	for _, name := range metrics {
		for _, v := range p.Metrics[name] {
			out = append(out, fmt.Sprintf("%s %d/%d", name, v.Worker, v.Step))
		}
		for _, v := range p.Curves[name] {
			out = append(out, fmt.Sprintf("%s %d", name, v.Step))
		}
	}
	return out
}

// measured are the values of workers that each reported steps 0 to steps-1.
func measured(workers, steps int) (out []points.WorkerPoint) {
	for rank := range workers {
		for step := range int64(steps) {
			out = append(out, points.WorkerPoint{Rank: rank, Step: step, Value: 1})
		}
	}
	return out
}

func drawn(steps int) (curve []run.CurvePoint) {
	for step := range int64(steps) {
		curve = append(curve, run.CurvePoint{Step: step, Mean: 1, Workers: 2})
	}
	return curve
}

// metricFixture is a run with two metrics of two workers, of 7 and of 3 steps.
func metricFixture(t *testing.T) (f *fixture, id run.ID, target string) {
	t.Helper()
	f = newFixture(t)
	id = f.Add(run.Run{State: run.Running})
	f.SetMetric(id, "loss", measured(2, 7), drawn(7))
	f.SetMetric(id, "mfu", measured(2, 3), drawn(3))
	f.SetMetric(id, "none", nil, nil)
	f.SetMetric(id, "nor", nil, nil)
	return f, id, "/api/v1/runs/" + string(id) + "/metrics"
}

// follow reads every page; between is called after each but the last.
func follow(f *fixture, target string, between func(page int)) (places []string, pages int) {
	f.t.Helper()
	next := ""
	for {
		page := get[metricPage](f, target+next)
		places = append(places, page.places("loss", "mfu")...)
		if pages++; page.Next == "" || pages > 100 {
			return places, pages
		}
		next = "&after=" + url.QueryEscape(page.Next)
		if between != nil {
			between(pages)
		}
	}
}

func TestMetricsAreReadInPages(t *testing.T) {
	t.Parallel()
	f, _, target := metricFixture(t)
	for query, want := range map[string]struct {
		values, pages int
		first, last   string
	}{
		"?metric=loss":                                 {14, 1, "loss 0/0", "loss 1/6"},
		"?metric=loss&limit=14":                        {14, 1, "loss 0/0", "loss 1/6"},
		"?metric=loss&limit=13":                        {14, 2, "loss 0/0", "loss 1/6"},
		"?metric=loss&limit=5":                         {14, 3, "loss 0/0", "loss 1/6"},
		"?metric=loss&limit=1":                         {14, 14, "loss 0/0", "loss 1/6"},
		"?metric=loss&limit=2&from=5":                  {4, 2, "loss 0/5", "loss 1/6"},
		"?metric=loss&limit=3&worker=0":                {7, 3, "loss 0/0", "loss 0/6"},
		"?metric=loss&limit=3&worker=1":                {7, 3, "loss 1/0", "loss 1/6"},
		"?metric=loss&limit=3&worker=1&from=6":         {1, 1, "loss 1/6", "loss 1/6"},
		"?metric=loss&metric=mfu&limit=4":              {20, 5, "loss 0/0", "mfu 1/2"},
		"?metric=loss&metric=mfu&limit=14":             {20, 2, "loss 0/0", "mfu 1/2"},
		"?metric=loss&metric=mfu&metric=loss&limit=19": {20, 2, "loss 0/0", "mfu 1/2"},
		"?metric=loss&metric=mfu&worker=1&limit=8":     {10, 2, "loss 1/0", "mfu 1/2"},
		"?metric=none&metric=loss&metric=nor&limit=14": {14, 1, "loss 0/0", "loss 1/6"},
		"?metric=loss&mode=curve":                      {7, 1, "loss 0", "loss 6"},
		"?metric=loss&mode=curve&limit=3":              {7, 3, "loss 0", "loss 6"},
		"?metric=loss&metric=mfu&mode=curve&limit=7":   {10, 2, "loss 0", "mfu 2"},
		"?metric=loss&mode=curve&limit=2&from=3":       {4, 2, "loss 3", "loss 6"},
	} {
		places, pages := follow(f, target+query, nil)
		if len(places) != want.values || pages != want.pages || places[0] != want.first || places[len(places)-1] != want.last {
			t.Errorf("%s: %d pages, %d values from %s to %s, want %+v", query, pages, len(places), places[0], places[len(places)-1], want)
		}
		if again := slices.Compact(slices.Sorted(slices.Values(places))); len(again) != len(places) {
			t.Errorf("%s repeats values: %v", query, places)
		}
	}
	second := get[metricPage](f, target+"?metric=loss&metric=mfu&limit=14&after="+get[metricPage](f, target+"?metric=loss&metric=mfu&limit=14").Next)
	if loss, ok := second.Metrics["loss"]; !ok || loss == nil || len(second.Metrics["mfu"]) != 6 {
		t.Errorf("a metric whose values were on the page before is not empty: %+v", second)
	}
	if all := get[metricPage](f, target); all.Next != "" {
		t.Errorf("names alone have a next: %q", all.Next)
	}
}

func TestMetricsThatGrowBetweenPagesAreNotRepeatedOrSkipped(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"?metric=loss&metric=mfu&limit=3", "?metric=loss&metric=mfu&mode=curve&limit=3"} {
		f, id, target := metricFixture(t)
		before, _ := follow(f, target+query, nil)
		places, pages := follow(f, target+query, func(page int) {
			if page < 5 { // a worker more, and more steps of every worker: before and behind the cursor
				f.SetMetric(id, "loss", measured(2+page, 7+page), drawn(7+page))
				f.SetMetric(id, "mfu", measured(2+page, 3+page), drawn(3+page))
			}
		})
		count := map[string]int{}
		for _, p := range places {
			if count[p]++; count[p] > 1 {
				t.Errorf("%s: %s comes again", query, p)
			}
		}
		for _, p := range before {
			if count[p] == 0 {
				t.Errorf("%s: %s is skipped", query, p)
			}
		}
		if pages < 4 || len(places) <= len(before) {
			t.Errorf("%s: %d pages, %d values after %d at first", query, pages, len(places), len(before))
		}
	}
}

func TestACursorOfMetricsContinuesItsOwnRequestOnly(t *testing.T) {
	t.Parallel()
	f, _, target := metricFixture(t)
	other := f.Add(run.Run{State: run.Running})
	f.SetMetric(other, "loss", measured(2, 7), drawn(7))
	const query = "?metric=loss&metric=mfu&limit=3"
	cursor := get[metricPage](f, target+query).Next
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		t.Fatal(err)
	}
	changed := slices.Clone(raw)
	changed[len(changed)-1] ^= 2
	for name, bad := range map[string]string{
		"of another run":          "/api/v1/runs/" + string(other) + "/metrics" + query + "&after=" + cursor,
		"of other metrics":        target + "?metric=loss&after=" + cursor,
		"of another order":        target + "?metric=mfu&metric=loss&after=" + cursor,
		"of no metric":            target + "?after=" + cursor,
		"of another mode":         target + query + "&mode=curve&after=" + cursor,
		"of every worker":         target + query + "&worker=0&after=" + cursor,
		"from another step":       target + query + "&from=1&after=" + cursor,
		"that was changed":        target + query + "&after=" + base64.RawURLEncoding.EncodeToString(changed),
		"that was cut":            target + query + "&after=" + cursor[:len(cursor)-2],
		"with more behind it":     target + query + "&after=" + cursor + "AA",
		"with padding":            target + query + "&after=" + cursor + "%3D",
		"that is a number":        target + query + "&after=17",
		"that is no cursor":       target + query + "&after=" + url.QueryEscape("loss/0/3 \x00"),
		"of nothing but a digest": target + query + "&after=" + base64.RawURLEncoding.EncodeToString(raw[:12]),
		"that is too long":        target + query + "&after=" + strings.Repeat("A", 101),
	} {
		p := f.problem(f.do("GET", bad, ""), 422)
		if len(p.Errors) != 1 || p.Errors[0].Field != "after" || p.Errors[0].Location != "query" || p.Errors[0].Rule == "" || p.Errors[0].Fix == "" {
			t.Errorf("a cursor %s: %+v", name, p)
		}
	}
	if page := get[metricPage](f, target+"?metric=loss&metric=mfu&limit=50000&after="+cursor); len(page.places("loss", "mfu")) != 17 {
		t.Errorf("with another limit: %+v", page)
	}
}
