package runs_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// launchSite has one run with a valid configuration.
func launchSite(t *testing.T) (*webtest.Site, run.Run) {
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	r.Config = webtest.Template("x", 1).Config
	s.Fake.AllRuns = []run.Run{r}
	return s, r
}

func TestARunsLaunchIsShownPartByPart(t *testing.T) {
	t.Parallel()
	s, r := launchSite(t)
	base := "/runs/" + string(r.ID)
	a := s.Get(base+"/launch", 200)
	for _, part := range []string{"reproduce", "command", "environment", "script", "meta", "job", "config"} {
		if a.Count(`[data-launch-part=`+part+`]`) != 1 {
			t.Errorf("no part %s", part)
		}
	}
	if got := a.Text(t, "#launch-reproduce"); !strings.HasPrefix(got, "cotrain run submit --preset debug-diloco") || !strings.HasSuffix(got, "--name 'first try'") {
		t.Errorf("reproduce %q", got)
	}
	s.Fake.AllRuns[0].Project = "vision"
	if got := s.Get(base+"/launch", 200).Text(t, "#launch-reproduce"); !strings.Contains(got, " --project vision ") {
		t.Errorf("reproduce of another project %q", got)
	}
	if got := a.Text(t, "[data-env=COTRAIN_NODES]"); got != "COTRAIN_NODES 3 job" {
		t.Errorf("variable %q", got)
	}
	if a.Count(`[data-copy="#launch-script"]`) != 1 || a.Count(`a[download][href="`+base+`/job.json"]`) != 1 {
		t.Error("no way to copy or to download")
	}
	page := s.Get(base, 200)
	if page.Count(`#launch[hx-get="`+base+`/launch"]`) != 1 || page.Count(`#launch a[href="`+base+`/launch"]`) != 1 {
		t.Error("the run's page does not lead to it")
	}
	for _, action := range []string{"clone", "save-template", "compare"} {
		if page.Count(`#run-headline [data-action=`+action+`]`) != 1 {
			t.Errorf("no button %s", action)
		}
	}
	for file, want := range map[string]string{"launch.sh": webtest.Launch().Script, "job.json": "{\n  \"ID\": \"cotrain-core-abc\"\n}\n"} {
		got := s.Get(base+"/"+file, 200)
		if got.Body != want || got.Header.Get("Content-Disposition") != `attachment; filename="`+string(r.ID)+"-"+file+`"` {
			t.Errorf("%s: %q %q", file, got.Body, got.Header.Get("Content-Disposition"))
		}
	}
}

func TestWithoutNomadALaunchSaysWhatIsKnown(t *testing.T) {
	t.Parallel()
	s, r := launchSite(t)
	s.Fake.LaunchErr = fault.ErrUnavailable
	base := "/runs/" + string(r.ID)
	a := s.Get(base+"/launch", 200)
	if a.Count("[data-launch-problem]") != 1 || a.Count("#launch-reproduce") != 1 || a.Text(t, "#launch-config") == "" || a.Count("[data-launch-part=job]") != 0 {
		t.Error("the page does not say what is known")
	}
	s.Get(base+"/job.json", 503)
	s.Get(base, 200)
	s.Get("/runs/r-0000000000/launch", 404)
}

func TestTheFormsLaunchCanBeDownloadedBeforeItIsSubmitted(t *testing.T) {
	t.Parallel()
	s, _ := launchSite(t)
	form := url.Values{"nodes": {"1"}, "name_model": {"debugmodel"}, "data.fake": {"true"}, "train.micro_bs": {"8"}, "optim.batch_size": {"16"}, "optim.total_steps": {"4"}, "optim.warmup_steps": {"1"}}
	a := s.Do("POST", "/runs/launch/launch.sh", form)
	if a.Status != 200 || a.Body != webtest.Launch().Script {
		t.Fatalf("%d %s", a.Status, a.Body[:min(len(a.Body), 200)])
	}
	if a := s.Do("POST", "/runs/launch/config.toml", form); !strings.Contains(a.Body, "debugmodel") {
		t.Errorf("configuration %q", a.Body)
	}
	form.Set("optim.batch_size", "x")
	if a := s.Do("POST", "/runs/launch/job.json", form); a.Status != 422 || a.Header.Get("Content-Disposition") != "" {
		t.Errorf("a form with a mistake: %d", a.Status)
	}
}

func TestARunSaysWhereItCameFromAlsoWhenThatIsGone(t *testing.T) {
	t.Parallel()
	s, r := launchSite(t)
	sweep := run.Sweep{ID: run.NewSweepID(webtest.Now), Name: "rates"}
	first := webtest.Run(run.Succeeded)
	first.ID, first.Name = run.NewID(webtest.Now.AddDate(0, 0, -1)), "the first"
	r.Options.Description, r.Options.Tags = "why <b>so</b>", []string{"one", "two"}
	r.Origin = run.Origin{Template: "mine@1", Clone: first.ID, Sweep: sweep.ID, Point: map[string]string{"nodes": "3"}}
	s.Fake.AllRuns, s.Fake.AllTemplates, s.Fake.AllSweeps = []run.Run{r, first}, []run.Template{webtest.Template("mine", 1)}, []run.Sweep{sweep}
	path := "/runs/" + string(r.ID)
	a := s.Get(path, 200)
	for selector, want := range map[string]string{
		`[data-origin=template] a[href="/templates/mine?version=1"]`:     "mine@1",
		`[data-origin=clone] a[href="/runs/` + string(first.ID) + `"]`:   "the first",
		`[data-origin=sweep] a[href="/sweeps/` + string(sweep.ID) + `"]`: "rates",
		`[data-origin=point]`:               "nodes = 3",
		`[data-description]`:                "why <b>so</b>",
		`#run-about [data-tag]:first-child`: "one",
	} {
		if got := a.Text(t, selector); got != want {
			t.Errorf("%s: %q, want %q", selector, got, want)
		}
	}
	s.Fake.AllRuns, s.Fake.AllTemplates, s.Fake.AllSweeps = []run.Run{r}, nil, nil
	gone := s.Get(path, 200)
	if gone.Count("#run-about [data-origin] a") != 0 || gone.Text(t, "[data-origin=template]") != "mine@1 deleted" {
		t.Errorf("gone: %q", gone.Text(t, "[data-origin=template]"))
	}
	if list := s.Get("/", 200); list.Count("tr[data-run-id] [data-tag]") != 2 || list.Count("tr[data-sweep-id]") != 0 {
		t.Error("the list does not show the tags, or a sweep that is gone")
	}
}
