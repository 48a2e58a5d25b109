package api_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

func TestLabelsOfRunsAreEditedByManyAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	target := "/api/v1/runs/" + string(f.Add(run.Run{Name: "x", State: run.Failed, Options: run.Options{Tags: []string{"old"}}}))
	edit := func(body string) run.Run { return decode[run.Run](f, f.do("PATCH", target, body), 200) }
	edit(`{"tag":["ann"],"note":"ann's"}`)
	if r := edit(`{"tag":["bob"],"untag":["old"]}`); !slices.Equal(r.Options.Tags, []string{"ann", "bob"}) || r.Note != "ann's" {
		t.Errorf("%v, %q", r.Options.Tags, r.Note)
	}
	for _, body := range []string{`{"note":"bob's","tag":["lost"]}`, `{"note":"bob's","note_was":"another","tag":["lost"]}`, `{"note":""}`} {
		if p := f.problem(f.do("PATCH", target, body), 409); p.Code != "note_changed" || !strings.Contains(p.Detail, "ann's") {
			t.Errorf("%s: %+v", body, p)
		}
	}
	if r := edit(`{"note":"bob's","note_was":"ann's","archived":true}`); r.Note != "bob's" || !r.Archived || !slices.Equal(r.Options.Tags, []string{"ann", "bob"}) {
		t.Errorf("%+v", r)
	}
	f.problem(f.do("PATCH", target, `{"tag":["a\u200bb"]}`), 422)
	f.problem(f.do("PATCH", target, `{"tags":["ann"]}`), 422) // all of them at once would lose what others added
}

// TestTheListHasEachFilterAndOrderOfThePage has them one by one.
func TestTheListHasEachFilterAndOrderOfThePage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	add := func(i int, r run.Run) {
		r.CreatedAt = day.AddDate(0, 0, i)
		r.ID = run.FirstID(r.CreatedAt)
		f.Add(r)
	}
	add(0, run.Run{Name: "a", State: run.Failed, Owner: "ann", Preset: "7b", Options: run.Options{Tags: []string{"x", "y"}}, Progress: run.Progress{Step: 3, Loss: 2, HasLoss: true, TokensPerSec: 1, UpdatedAt: day}})
	add(1, run.Run{Name: "c", State: run.Running, Owner: "bob", Preset: "debug", Options: run.Options{Tags: []string{"x"}}, Progress: run.Progress{Step: 1, Loss: 3, HasLoss: true, TokensPerSec: 3, UpdatedAt: day}})
	add(2, run.Run{Name: "b", State: run.Failed, Owner: "ann", Preset: "debug", Archived: true, Progress: run.Progress{Step: 2, Loss: 1, HasLoss: true, TokensPerSec: 2, UpdatedAt: day}})
	for query, want := range map[string]string{
		"": "c a", "archived=only": "b", "archived=all": "b c a", "owner=ann": "a", "owner=ann&archived=all": "b a", "model=debug": "c", "tag=x": "c a", "tag=x&tag=y": "a", "tag=x,y": "a",
		"since=2026-01-02": "c", "until=2026-01-02": "a", "since=2026-01-02T00:00:00Z&until=2026-01-03&archived=all": "c", "state=failed&archived=all": "b a",
		"archived=all&sort=created": "a c b", "archived=all&sort=name": "a b c", "archived=all&sort=-name": "c b a", "archived=all&sort=step": "c b a", "archived=all&sort=-loss": "c a b", "archived=all&sort=throughput": "a b c",
		"archived=all&sort=model": "a c b", "archived=all&sort=-owner": "c b a",
	} {
		var names []string
		for _, r := range decode[runPage](f, f.do("GET", "/api/v1/runs?"+query, ""), 200).Items {
			names = append(names, r.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s gives %q, want %q", query, got, want)
		}
	}
	for _, key := range run.OrderKeys() {
		decode[runPage](f, f.do("GET", "/api/v1/runs?sort=-"+key, ""), 200)
	}
	decode[runPage](f, f.do("GET", "/api/v1/runs?sort=metric:eval/loss:low&node=gpu-1", ""), 200)
	for _, query := range []string{"sort=nonsense", "sort=metric:x:mean", "since=yesterday", "archived=maybe", "sort=loss&before=r-0000000001"} {
		f.problem(f.do("GET", "/api/v1/runs?"+query, ""), 422)
	}
}
