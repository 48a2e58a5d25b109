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
	a := s.Get(base+"/config", 200)
	for _, part := range []string{"reproduce", "command", "environment", "script", "meta", "job"} {
		if a.Count(`[data-launch-part=`+part+`]`) != 1 {
			t.Errorf("no part %s", part)
		}
	}
	if got := a.Text(t, "#launch-reproduce"); !strings.HasPrefix(got, "cotrain run submit --preset debug-diloco") || !strings.HasSuffix(got, "--name 'first try'") {
		t.Errorf("reproduce %q", got)
	}
	s.Fake.AllRuns[0].Project = "vision"
	if got := s.Get(base+"/config", 200).Text(t, "#launch-reproduce"); !strings.Contains(got, " --project vision ") {
		t.Errorf("reproduce of another project %q", got)
	}
	if got := a.Text(t, "[data-env=COTRAIN_NODES]"); got != "COTRAIN_NODES 3 job" {
		t.Errorf("variable %q", got)
	}
	if a.Count(`[data-copy="#launch-script"]`) != 1 || a.Count(`a[download][href="`+base+`/job.json"]`) != 1 {
		t.Error("no way to copy or to download")
	}
	if a.Text(t, "#config-toml") != strings.TrimSpace(strings.Join(strings.Fields(r.Config), " ")) || a.Count(`a[download][href="`+base+`/config.toml"]`) != 2 {
		t.Errorf("the configuration is %q", a.Text(t, "#config-toml"))
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
	a := s.Get(base+"/config", 200)
	if a.Count("[data-launch-problem]") != 1 || a.Count("#launch-reproduce") != 1 || a.Text(t, "#config-toml") == "" || a.Count("[data-launch-part=job]") != 0 {
		t.Error("the page does not say what is known")
	}
	s.Get(base+"/job.json", 503)
	s.Get(base, 200)
	s.Get("/runs/r-0000000000/config", 404)
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

func TestTheConfigurationShowsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	r.Shape.CPU, r.Shape.Memory = 4000, 8192
	r.Options = run.Options{Priority: 70, Retries: 2, MaxDuration: 9000, Env: map[string]string{"B": "<2>", "A": "1"}, Args: []string{"--x=1", "a b"}, Secrets: run.SecretNames{"HF_TOKEN", "WANDB_API_KEY"}}
	s.Fake.AllRuns = []run.Run{r}
	path := "/runs/" + string(r.ID) + "/config"
	a := s.Get(path, 200)
	for key, want := range map[string]string{
		"shape": "3 nodes with 2 x A100", "preset": "debug-diloco", "diloco": "sync every 50 steps", "cpu": "4,000 MHz", "memory": "8.00 GiB", "priority": "70",
		"retries": "up to 2", "limit": "2h30m", "secrets": "HF_TOKEN, WANDB_API_KEY", "args": `--x=1 "a b"`, "env": "A= 1 B= <2>",
	} {
		if got := a.Text(t, "#run-request [data-request="+key+"]"); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	if s.Get("/runs/"+string(r.ID)+"/live?tab=config", 200).Count("#run-request, #config-toml") != 0 {
		t.Error("what never changes is sent again")
	}
	s.Fake.AllRuns[0].Options, s.Fake.AllRuns[0].Shape.CPU = run.Options{}, 0
	plain := s.Get(path, 200)
	for key, want := range map[string]string{"cpu": "100 MHz", "priority": "50", "retries": "none", "limit": "none"} {
		if got := plain.Text(t, "#run-request [data-request="+key+"]"); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	if plain.Count("[data-request=env], [data-request=args], [data-request=secrets]") != 0 {
		t.Error("what was not asked for has a place")
	}
}

func TestTheConfigurationShowsWhatDiffersFromWhatTheRunWasMadeFrom(t *testing.T) {
	t.Parallel()
	s, r := launchSite(t)
	r.Project, r.Preset = "vision", "mine@2"
	r.Config = webtest.Template("x", 1, "optim.batch_size", "64").Config
	made := webtest.Template("mine", 2, "ckpt.path", "/x")
	made.Project = "vision"
	s.Fake.AllRuns, s.Fake.AllTemplates = []run.Run{r}, []run.Template{made}
	path := "/runs/" + string(r.ID) + "/config"
	a := s.Get(path, 200)
	if got := a.Doc.Find("#changes-title a").AttrOr("href", ""); got != "/templates/mine?version=2&project=vision" {
		t.Errorf("made from %q", got)
	}
	for field, want := range map[string]string{"optim.batch_size": "16 64", "ckpt.path": "/x not set"} {
		row := `#run-changes [data-diff-field="` + field + `"] `
		if got := a.Text(t, row+"[data-side=before]") + " " + a.Text(t, row+"[data-side=after]"); got != want {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
	if a.Count("#run-changes [data-diff-field=name]") != 0 {
		t.Error("a name counts against a template")
	}
	s.Fake.AllTemplates = nil
	if s.Get(path, 200).Count("#run-changes") != 0 {
		t.Error("differences from a template that is gone")
	}
	s.Fake.AllRuns[0].Preset = "debug-diloco"
	if got := s.Get(path, 200).Text(t, "#changes-title"); got != "Changes from debug-diloco" {
		t.Errorf("made from a preset: %q", got)
	}
}
