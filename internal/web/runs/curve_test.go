package runs_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestCurvesAreJoinedByStepAndKeepWhatIsNotANumber(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	r.Progress.Step = 3 // step 4 is still to be reported by one
	s.Fake.AllRuns = []run.Run{r}
	s.Fake.Curves = map[string][]run.CurvePoint{
		"loss":              {{Step: 1, Mean: 4, Min: 3, Max: 5}, {Step: 3, Mean: math.NaN(), Min: math.NaN(), Max: math.Inf(1)}, {Step: 4, Mean: 9}},
		"tokens_per_second": {{Step: 2, Sum: 100}, {Step: 3, Sum: 200}, {Step: 4, Sum: 66}},
	}
	a := s.Get("/runs/"+string(r.ID)+"/points", 200)
	var got struct {
		Seq    int64
		Steps  []int64
		Series map[string]map[string][]any
	}
	if err := json.Unmarshal([]byte(a.Body), &got); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got.Steps) != "[1 2 3]" || got.Seq != s.Hub.Seq(feed.RunTopic(r.ID)) {
		t.Errorf("steps %v, sequence %d", got.Steps, got.Seq)
	}
	if text := fmt.Sprint(got.Series["loss"]["mean"], got.Series["loss"]["max"], got.Series["tokens_per_second"]["sum"]); text != "[4 <nil> NaN] [5 <nil> Infinity] [<nil> 100 200]" {
		t.Errorf("series %s", text)
	}
	s.Fake.Curves = nil
	if a := s.Get("/runs/"+string(r.ID)+"/points", 200); !strings.Contains(a.Body, `"steps":[]`) {
		t.Errorf("without points: %s", a.Body)
	}
}
