package chart_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

func nothing(string) bool { return false }

func (f *fixture) cached(t *testing.T, c *chart.Cache, q chart.Query, known func(string) bool) (tag, body string) {
	t.Helper()
	r, err := f.Run(t.Context(), f.id)
	if err != nil {
		t.Fatal(err)
	}
	tag, b, err := c.Answer(t.Context(), f.Store, r, q, known)
	if err != nil {
		t.Fatal(err)
	}
	return tag, string(b)
}

func TestAnUnchangedRunIsAnsweredFromTheCache(t *testing.T) {
	t.Parallel()
	f, c := newFixture(t, openStore(t), 1, 1), chart.NewCache(1<<20, "a")
	f.report(t, 1, 0, epoch, []points.Point{at("loss", 1, 4)})
	f.settle(t)
	tag, body := f.cached(t, c, query("loss"), nothing)
	again, same := f.cached(t, c, query("loss"), nothing)
	if again != tag || same != body || !strings.Contains(body, `"value":[4]`) {
		t.Errorf("%s %s, then %s %s", tag, body, again, same)
	}
	if _, body := f.cached(t, c, query("loss"), func(known string) bool { return known == tag }); body != "" {
		t.Errorf("who has it gets %s", body)
	}
	if s := c.Stats(); s.Requests != 3 || s.Hits != 1 || s.Unchanged != 1 || s.Entries != 1 || s.Bytes <= int64(len(body)) || s.Limit != 1<<20 {
		t.Errorf("stats are %+v", s)
	}
	if other, _ := f.cached(t, chart.NewCache(1<<20, "b"), query("loss"), nothing); other == tag {
		t.Error("another start of the console has the same tag")
	}
}

func TestNothingThatChangesAnAnswerLeavesItsTag(t *testing.T) {
	t.Parallel()
	f, c := newFixture(t, openStore(t), 1, 2), chart.NewCache(1<<20, "a")
	tags := map[string]string{}
	check := func(what, want string) {
		t.Helper()
		tag, body := f.cached(t, c, query("loss", "grad_norm"), nothing)
		if before, ok := tags[tag]; ok {
			t.Errorf("%s: the tag is that of %s", what, before)
		}
		if tags[tag] = what; !strings.Contains(body, want) {
			t.Errorf("%s: no %s in %s", what, want, body)
		}
	}
	check("a run without points", `"series":[]`)
	f.report(t, 1, 0, epoch, []points.Point{at("loss", 1, 4), at("loss", 2, 3)})
	f.settle(t)
	check("a step", `"value":[4,3]`)
	f.report(t, 1, 0, epoch, []points.Point{at("grad_norm", 1, 7)})
	check("another metric, without roll-up", `"value":[7]`)
	f.report(t, 1, 1, epoch, []points.Point{at("loss", 1, 2), at("loss", 2, 1)})
	f.settle(t)
	check("another worker", `"value":[3,2]`)
	f.report(t, 2, 0, epoch.Add(time.Hour), []points.Point{at("loss", 2, 9)})
	f.settle(t)
	check("attempt 2 repeats step 2", `"value":[3,9]`)
	f.move(t, run.Failed)
	check("the end", `"value":[3,9]`)
	f.report(t, 2, 0, epoch.Add(2*time.Hour), []points.Point{at("loss", 2, 8)})
	f.settle(t)
	check("a late report", `"value":[3,8]`)
	if err := f.DeleteRun(t.Context(), f.id); err != nil {
		t.Fatal(err)
	}
	f2 := newFixture(t, f.Store, 1, 2)
	if tag, body := f2.cached(t, c, query("loss", "grad_norm"), nothing); tags[tag] != "" || !strings.Contains(body, `"series":[]`) {
		t.Errorf("a run that follows under the same ID is answered with %s", body)
	}
}

func TestTwoRunsAndTwoQueriesNeverMix(t *testing.T) {
	t.Parallel()
	s, c := openStore(t), chart.NewCache(1<<20, "a")
	seen := map[string]string{}
	for n := range 2 {
		f := newFixture(t, s, n, 1)
		f.report(t, 1, 0, epoch, []points.Point{at("loss", 1, 4), at("a", 1, 1), at(`a" "b`, 1, 2)})
		f.settle(t)
		for _, text := range []string{"metric=loss", "metric=a&metric=b", "metric=a%22+%22b", "metric=loss&px=1", "metric=loss&workers=0", "metric=loss&x=time", "metric=loss&x=elapsed", "metric=loss&smooth=ema:0.5", "metric=loss&from=1", "metric=loss&to=1", "metric=loss&replaced=1"} {
			v, _ := url.ParseQuery(text)
			q, err := chart.ParseQuery(v)
			if err != nil {
				t.Fatal(text, err)
			}
			tag, body := f.cached(t, c, q, nothing)
			if before := seen[tag]; before != "" || !strings.Contains(body, string(f.id)) {
				t.Errorf("%s of %s has the tag of %s", text, f.id, before)
			}
			seen[tag] = fmt.Sprint(text, " of ", f.id)
		}
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, openStore(t), 1, 1)
	var pts []points.Point
	for step := range int64(100) {
		pts = append(pts, at("loss", step, 1.25))
	}
	f.report(t, 1, 0, epoch, pts)
	f.settle(t)
	const limit = 10_000
	c := chart.NewCache(limit, "a")
	for px := 1; px <= 300; px++ {
		q := query("loss")
		q.Pixels = px
		f.cached(t, c, q, nothing)
		if s := c.Stats(); s.Bytes > limit || s.Bytes < 0 {
			t.Fatalf("it has %d bytes", s.Bytes)
		}
	}
	if s := c.Stats(); s.Entries == 0 || s.Entries > 60 {
		t.Errorf("stats are %+v", s)
	}
	none := chart.NewCache(0, "a")
	f.cached(t, none, query("loss"), nothing)
	if s := none.Stats(); s.Entries != 0 || s.Bytes != 0 {
		t.Errorf("without room it keeps %+v", s)
	}
}

func TestWhatFailsIsNotKept(t *testing.T) {
	t.Parallel()
	f, c := newFixture(t, openStore(t), 1, 1), chart.NewCache(1<<20, "a")
	r := f.settle(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := c.Answer(ctx, f.Store, r, query("loss"), nothing); err == nil || c.Stats().Entries != 0 {
		t.Errorf("it answers %v, and keeps %d", err, c.Stats().Entries)
	}
}
