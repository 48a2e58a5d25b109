package chart_test

import (
	"errors"
	"math"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/run"
)

func TestAQueryIsReadFromAnAddress(t *testing.T) {
	t.Parallel()
	v, _ := url.ParseQuery("metric=loss&metric=%3Dval_loss-loss&metric=%3Cscript%3E&metric='%3B+DROP+TABLE+runs&x=tokens&from=-1e3&to=5&px=300&smooth=ema:0.9&workers=3&replaced=2")
	q, err := chart.ParseQuery(v)
	if err != nil || !slices.Equal(q.Metrics, []string{"loss", "=val_loss-loss", "<script>", "'; DROP TABLE runs"}) || q.X != chart.Tokens || q.From != -1000 || q.To != 5 ||
		q.Pixels != 300 || q.Smooth.String() != "ema:0.9" || q.Workers != 3 || q.Replaced != 2 {
		t.Errorf("the query is %+v, %v", q, err)
	}
	q, err = chart.ParseQuery(url.Values{"metric": {"loss"}})
	if err != nil || q.X != chart.Step || !math.IsInf(q.From, -1) || !math.IsInf(q.To, 1) || q.Pixels < 1 || q.Workers != chart.AllWorkers {
		t.Errorf("without anything else it is %+v, %v", q, err)
	}
}

func TestAWrongQueryNamesItsFields(t *testing.T) {
	t.Parallel()
	for text, fields := range map[string]string{
		"":                                     "metric",
		"metric=":                              "metric",
		strings.Repeat("metric=a&", 65):        "metric",
		"metric=" + strings.Repeat("a", 10000): "metric",
		"metric=%ff":                           "metric",
		"metric=%3D":                           "formula",
		"metric=a&from=NaN&to=-Inf":            "from to",
		"metric=a&from=1e999":                  "from",
		"metric=a&from=2&to=1":                 "from",
		"metric=a&px=0":                        "px",
		"metric=a&px=4097&x=" + strings.Repeat("a", 200):  "px x",
		"metric=a&smooth=gauss:1e9&workers=-1&replaced=0": "replaced smooth workers",
	} {
		v, _ := url.ParseQuery(text)
		_, err := chart.ParseQuery(v)
		var errs run.FieldErrors
		if !errors.As(err, &errs) {
			t.Errorf("%.80s: %v", text, err)
			continue
		}
		var got []string
		for _, e := range errs {
			got = append(got, e.Field)
			if len(e.Value) > 250 || e.Rule == "" || e.Fix == "" {
				t.Errorf("%.80s: %.300v", text, e)
			}
		}
		if slices.Sort(got); strings.Join(got, " ") != fields {
			t.Errorf("%.80s is wrong in %v, want %s", text, got, fields)
		}
	}
}

func FuzzParseQuery(f *testing.F) {
	for _, text := range []string{"metric=loss", "metric=%3Da-b&x=tokens&from=1&to=2&px=3&smooth=ema:0.9&workers=each&replaced=1", "metric=a&from=NaN", "metric=%00&px=-1", "x=%ff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		q, err := chart.ParseQuery(v)
		var errs run.FieldErrors
		if err != nil && (!errors.As(err, &errs) || len(errs) == 0) {
			t.Fatalf("no field is wrong: %v", err)
		}
		if err == nil && (len(q.Metrics) == 0 || len(q.Metrics) > chart.MaxMetrics || q.Pixels < 1 || q.Pixels > chart.MaxWidth || !(q.From <= q.To) || q.Workers < chart.EachWorker || q.Replaced < 0) {
			t.Fatalf("%q is read as %+v", text, q)
		}
	})
}
