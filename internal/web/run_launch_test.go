package web

import (
	"net/url"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// launchSite has one run with a valid configuration.
func launchSite(t *testing.T) (*site, run.Run) {
	s := newSite(t)
	r := testRun(run.Running)
	r.Config = testTemplate("x", 1).Config
	s.fake.runs = []run.Run{r}
	return s, r
}

func TestARunsLaunchIsShownPartByPart(t *testing.T) {
	t.Parallel()
	s, r := launchSite(t)
	base := "/runs/" + string(r.ID)
	a := s.get(base+"/launch", 200)
	for _, part := range []string{"reproduce", "command", "environment", "script", "meta", "job", "config"} {
		if a.count(`[data-launch-part=`+part+`]`) != 1 {
			t.Errorf("no part %s", part)
		}
	}
	if got := a.text(t, "#launch-reproduce"); !strings.HasPrefix(got, "cotrain run submit --preset debug-diloco") || !strings.HasSuffix(got, "--name 'first try'") {
		t.Errorf("reproduce %q", got)
	}
	if got := a.text(t, "[data-env=COTRAIN_NODES]"); got != "COTRAIN_NODES 3 job" {
		t.Errorf("variable %q", got)
	}
	if a.count(`[data-copy="#launch-script"]`) != 1 || a.count(`a[download][href="`+base+`/job.json"]`) != 1 {
		t.Error("no way to copy or to download")
	}
	page := s.get(base, 200)
	if page.count(`#launch[hx-get="`+base+`/launch"]`) != 1 || page.count(`#launch a[href="`+base+`/launch"]`) != 1 {
		t.Error("the run's page does not lead to it")
	}
	for _, action := range []string{"clone", "save-template", "compare"} {
		if page.count(`#run-headline [data-action=`+action+`]`) != 1 {
			t.Errorf("no button %s", action)
		}
	}
	for file, want := range map[string]string{"launch.sh": testLaunch().Script, "job.json": "{\n  \"ID\": \"cotrain-core-abc\"\n}\n"} {
		got := s.get(base+"/"+file, 200)
		if got.body != want || got.header.Get("Content-Disposition") != `attachment; filename="`+string(r.ID)+"-"+file+`"` {
			t.Errorf("%s: %q %q", file, got.body, got.header.Get("Content-Disposition"))
		}
	}
}

func TestWithoutNomadALaunchSaysWhatIsKnown(t *testing.T) {
	t.Parallel()
	s, r := launchSite(t)
	s.fake.launchErr = fault.ErrUnavailable
	base := "/runs/" + string(r.ID)
	a := s.get(base+"/launch", 200)
	if a.count("[data-launch-problem]") != 1 || a.count("#launch-reproduce") != 1 || a.text(t, "#launch-config") == "" || a.count("[data-launch-part=job]") != 0 {
		t.Error("the page does not say what is known")
	}
	s.get(base+"/job.json", 503)
	s.get(base, 200)
	s.get("/runs/r-0000000000/launch", 404)
}

func TestTheFormsLaunchCanBeDownloadedBeforeItIsSubmitted(t *testing.T) {
	t.Parallel()
	s, _ := launchSite(t)
	form := url.Values{"nodes": {"1"}, "name_model": {"debugmodel"}, "data.fake": {"true"}, "train.micro_bs": {"8"}, "optim.batch_size": {"16"}, "optim.total_steps": {"4"}, "optim.warmup_steps": {"1"}}
	a := s.do("POST", "/runs/launch/launch.sh", form)
	if a.status != 200 || a.body != testLaunch().Script {
		t.Fatalf("%d %s", a.status, a.body[:min(len(a.body), 200)])
	}
	if a := s.do("POST", "/runs/launch/config.toml", form); !strings.Contains(a.body, "debugmodel") {
		t.Errorf("configuration %q", a.body)
	}
	form.Set("optim.batch_size", "x")
	if a := s.do("POST", "/runs/launch/job.json", form); a.status != 422 || a.header.Get("Content-Disposition") != "" {
		t.Errorf("a form with a mistake: %d", a.status)
	}
}

func TestARunSaysWhereItCameFromAlsoWhenThatIsGone(t *testing.T) {
	t.Parallel()
	s, r := launchSite(t)
	sweep := run.Sweep{ID: run.NewSweepID(testNow), Name: "rates"}
	first := testRun(run.Succeeded)
	first.ID, first.Name = run.NewID(testNow.AddDate(0, 0, -1)), "the first"
	r.Options.Description, r.Options.Tags = "why <b>so</b>", []string{"one", "two"}
	r.Origin = run.Origin{Template: "mine@1", Clone: first.ID, Sweep: sweep.ID, Point: map[string]string{"nodes": "3"}}
	s.fake.runs, s.fake.templates, s.fake.sweeps = []run.Run{r, first}, []run.Template{testTemplate("mine", 1)}, []run.Sweep{sweep}
	path := "/runs/" + string(r.ID)
	a := s.get(path, 200)
	for selector, want := range map[string]string{
		`[data-origin=template] a[href="/templates/mine?version=1"]`:     "mine@1",
		`[data-origin=clone] a[href="/runs/` + string(first.ID) + `"]`:   "the first",
		`[data-origin=sweep] a[href="/sweeps/` + string(sweep.ID) + `"]`: "rates",
		`[data-origin=point]`:               "nodes = 3",
		`[data-description]`:                "why <b>so</b>",
		`#run-about [data-tag]:first-child`: "one",
	} {
		if got := a.text(t, selector); got != want {
			t.Errorf("%s: %q, want %q", selector, got, want)
		}
	}
	s.fake.runs, s.fake.templates, s.fake.sweeps = []run.Run{r}, nil, nil
	gone := s.get(path, 200)
	if gone.count("#run-about [data-origin] a") != 0 || gone.text(t, "[data-origin=template]") != "mine@1 deleted since" {
		t.Errorf("gone: %q", gone.text(t, "[data-origin=template]"))
	}
	if list := s.get("/", 200); list.count("tr[data-run-id] [data-tag]") != 2 || list.count("tr[data-sweep-id]") != 0 {
		t.Error("the list does not show the tags, or a sweep that is gone")
	}
}
