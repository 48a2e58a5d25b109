package runs_test

import (
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestCheckpointsAreThoseThatAllWorkersSavedAndThoseThatSomeDid(t *testing.T) {
	t.Parallel()
	for _, who := range []access.Identity{access.Local(), {User: "u-1", Name: "ann", Roles: map[string]access.Role{access.DefaultProject: access.Viewer}}} {
		s := webtest.New(t, func(d *web.Deps) { d.Auth = webtest.As(who) })
		r := webtest.Run(run.Running)
		r.Config, r.CheckpointPath = webtest.Template("x", 1, "ckpt.interval", "100").Config, "models/<b>"
		s.Fake.AllRuns = []run.Run{r}
		path := "/runs/" + string(r.ID) + "/checkpoints"
		if got := s.Get(path, 200).Text(t, "#run-checkpoints"); got != "Checkpoints 0 Every 100 steps to models/<b> None saved yet" {
			t.Errorf("before the first: %q", got)
		}
		for rank := range 3 {
			s.Fake.Saved = append(s.Fake.Saved, run.SavedCheckpoint{Attempt: 1, Rank: rank, Step: 100, Path: "models/<b>/step_100"})
		}
		s.Fake.Saved = append(s.Fake.Saved, run.SavedCheckpoint{Attempt: 2, Rank: 1, Step: 1200, Path: "/elsewhere/step_1200"})
		a := s.Get(path, 200)
		if a.Text(t, "tbody tr:first-child") != "1,200 2 1 / 3 /elsewhere/step_1200 incomplete" || a.Count("tbody tr") != 2 {
			t.Errorf("the newest is %q", a.Text(t, "tbody tr:first-child"))
		}
		href := a.Doc.Find(`[data-checkpoint-step="100"][data-whole=true] a[data-resume]`).AttrOr("href", "")
		want := "/runs/new?clone=" + string(r.ID) + "&resume=models%2F%3Cb%3E%2Fstep_100"
		if who.User != access.Local().User {
			want = ""
		}
		if href != want {
			t.Errorf("for %s a new run from there is %q, want %q", who.Name, href, want)
		}
		if a.Count("tbody a[href^='/storage']") != 0 {
			t.Error("there is a link to a storage that is off")
		}
	}
}
