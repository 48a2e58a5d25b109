package form_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestTheFormOfACloneResumesFromTheCheckpointThatIsAskedFor(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Succeeded)
	r.Config = webtest.Template("x", 1).Config
	s.Fake.AllRuns = []run.Run{r}
	for resume, want := range map[string]string{"": "", "models/<b>/step_100": "models/<b>/step_100"} {
		form := webtest.FormOf(t, s.Get("/runs/new?clone="+string(r.ID)+"&resume="+url.QueryEscape(resume), 200))
		if form.Get("ckpt.resume") != want || form.Get("name") != r.Name {
			t.Errorf("%q: it resumes from %q and is called %q", resume, form.Get("ckpt.resume"), form.Get("name"))
		}
	}
}

func TestEveryPresetFillsAFormThatNeedsNothingButAName(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	names := []string{""}
	for _, p := range trainconf.Presets() {
		names = append(names, p.Name)
	}
	for _, name := range names {
		form := webtest.FormOf(t, s.Get("/runs/new?preset="+url.QueryEscape(name), 200))
		if form.Get("preset") != name {
			t.Errorf("%q: the form has preset %q", name, form.Get("preset"))
		}
		form.Set("name", "with "+name)
		a := s.Do("POST", "/runs", form)
		if a.Status != http.StatusSeeOther {
			t.Errorf("%q: %d, %s", name, a.Status, strings.Join(strings.Fields(a.Doc.Find("#form-summary").Text()), " "))
			continue
		}
		sub := s.Fake.Submitted[len(s.Fake.Submitted)-1]
		p, _ := trainconf.PresetByName(name)
		cfg, err := trainconf.Parse([]byte(sub.Config))
		if err != nil || cfg.DiLoCo() != p.Config.DiLoCo() {
			t.Errorf("%q: the configuration is not the preset's (%v):\n%s", name, err, sub.Config)
		}
		for _, f := range trainconf.Fields() {
			if got, want := cfg.Effective(f.Path), p.Config.Effective(f.Path); got != want {
				t.Errorf("%q: %s = %q, want %q", name, f.Path, got, want)
			}
		}
		if name != "" && sub.Shape != p.Shape {
			t.Errorf("%q: shape %+v, want %+v", name, sub.Shape, p.Shape)
		}
		if sub.Preset != name || sub.Name != strings.TrimSpace("with "+name) || sub.Key == "" {
			t.Errorf("%q: submission %+v", name, sub)
		}
	}
}

func TestTheFormHasEveryFieldOnce(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	if _, err := s.Secrets.Register(t.Context(), hub); err != nil {
		t.Fatal(err)
	}
	a := s.Get("/runs/new", 200)
	for _, f := range form.Fields() {
		id := "f-" + strings.ReplaceAll(f.Path, ".", "-")
		if n := a.Count(fmt.Sprintf(`#run-form [id="%s"][name="%s"]`, id, f.Path)); n != 1 {
			t.Errorf("%d inputs of %s", n, f.Path)
		}
		if a.Count(fmt.Sprintf(`#run-form [data-for="%s"]`, id)) != 1 {
			t.Errorf("no place for a message of %s", f.Path)
		}
	}
	if got := a.Count("#run-form fieldset[data-section]"); got != len(trainconf.Sections()) {
		t.Errorf("%d sections", got)
	}
}

func TestChoosingAPresetKeepsTheName(t *testing.T) {
	t.Parallel()
	a := webtest.New(t).Do("GET", "/runs/new?preset=7B-diloco&name=kept", nil, "HX-Request", "true")
	if got, _ := a.Doc.Find("#f-name").Attr("value"); got != "kept" {
		t.Errorf("name %q", got)
	}
	if got, _ := a.Doc.Find("#f-ckpt-interval").Attr("value"); got != "1000" {
		t.Errorf("interval %q", got)
	}
	if got := a.Header.Get("HX-Replace-Url"); got != "/runs/new?preset=7B-diloco" {
		t.Errorf("address %q", got)
	}
	webtest.New(t).Get("/runs/new?preset=nonsense", 404)
}

// check posts a changed form to the check and returns the text of each message by field.
func check(t *testing.T, s *webtest.Site, change map[string]string) (map[string]string, webtest.Answer) {
	t.Helper()
	form := webtest.FormOf(t, s.Get("/runs/new?preset=debug-diloco", 200))
	for k, v := range change {
		form.Set(k, v)
	}
	a := s.Do("POST", "/runs/validate", form, "HX-Request", "true")
	if a.Status != 200 {
		t.Fatalf("status %d", a.Status)
	}
	out := map[string]string{}
	a.Doc.Find(`[data-for][hx-swap-oob]`).Each(func(_ int, el *goquery.Selection) {
		if el.AttrOr("data-invalid", "") == "true" {
			out[strings.ReplaceAll(strings.TrimPrefix(el.AttrOr("data-for", ""), "f-"), "-", ".")] = strings.TrimSpace(el.Text())
		}
	})
	return out, a
}

func TestMistakesAreShownBesideTheirFieldWhileTyping(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for name, c := range map[string]struct {
		change map[string]string
		want   []string // fields with a mistake
	}{
		"nothing typed, nothing shown":            {nil, nil},
		"an empty name once it was touched":       {map[string]string{"touched": "name"}, []string{"name"}},
		"a name of 1000 characters":               {map[string]string{"name": strings.Repeat("x", 1000)}, []string{"name"}},
		"a name that turns text around":           {map[string]string{"name": "a\u202eb"}, []string{"name"}},
		"any script is fine":                      {map[string]string{"name": "مرحبا 🚀 <b>"}, nil},
		"a batch that micro-batches do not fill":  {map[string]string{"optim.batch_size": "17"}, []string{"optim.batch_size"}},
		"a rate that is not a number":             {map[string]string{"optim.optim.lr": "fast"}, []string{"optim.optim.lr"}},
		"a rate that is not finite":               {map[string]string{"optim.optim.lr": "NaN"}, []string{"optim.optim.lr"}},
		"zero steps":                              {map[string]string{"optim.total_steps": "0"}, []string{"optim.total_steps"}},
		"steps beyond 64 bits":                    {map[string]string{"optim.total_steps": "99999999999999999999"}, []string{"optim.total_steps"}},
		"a model that does not exist":             {map[string]string{"name_model": "3B"}, []string{"name_model"}},
		"DiLoCo without inner steps":              {map[string]string{"diloco.inner_steps": "", "touched": "diloco.inner_steps"}, []string{"diloco.inner_steps"}},
		"a checkpoint path without interval":      {map[string]string{"ckpt.path": "/x", "touched": "ckpt.path,ckpt.interval"}, []string{"ckpt.interval"}},
		"an interval between two averagings":      {map[string]string{"ckpt.path": "/x", "ckpt.interval": "7"}, []string{"ckpt.interval"}},
		"no nodes":                                {map[string]string{"nodes": "0"}, []string{"nodes"}},
		"nodes in words":                          {map[string]string{"nodes": "three"}, []string{"nodes"}},
		"nodes beyond an int":                     {map[string]string{"nodes": "99999999999999999999"}, []string{"nodes"}},
		"a GPU model without GPUs":                {map[string]string{"gpus": "0", "gpu_model": "A100"}, []string{"gpu_model"}},
		"a GPU model with markup":                 {map[string]string{"gpu_model": "<A100>"}, []string{"gpu_model"}},
		"memory that is negative":                 {map[string]string{"gpu_min_memory": "-1"}, []string{"gpu_min_memory"}},
		"more than the cluster has is no mistake": {map[string]string{"nodes": "1000", "gpus": "64", "optim.batch_size": "512"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, a := check(t, s, c.change)
			if len(got) != len(c.want) {
				t.Errorf("messages %v, want for %v", got, c.want)
			}
			for _, field := range c.want {
				if got[field] == "" {
					t.Errorf("no message for %s among %v", field, got)
				}
			}
			if a.Count("#form-shown[hx-swap-oob]") != 1 || a.Count("html > body > main") != 0 {
				t.Error("the webtest.Answer is not the fragments alone")
			}
		})
	}
}

func TestWhatTheProjectDoesNotAllowIsShownBesideItsFieldWhileTyping(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	s.Fake.Judge = func(_ context.Context, sub run.Submission) (errs, warns run.FieldErrors) {
		if sub.Shape.Nodes > 2 {
			errs = run.FieldErrors{{Field: "nodes", Value: "3", Rule: "is too much: " + sub.Project + " allows at most 2 nodes for a run", Fix: "use at most 2"}}
		}
		return errs, run.FieldErrors{{Field: "ckpt.path", Value: "x", Rule: "already holds checkpoints", Fix: "use another"}}
	}
	form := url.Values{"name": {"x"}, "nodes": {"3"}, "gpus": {"0"}, "in_project": {"vision"}, "touched": {"nodes"}}
	a := s.Do("POST", "/runs/validate", form)
	if text := a.Text(t, "#f-nodes-message"); !strings.HasPrefix(text, "Is too much: vision allows at most 2 nodes for a run.") {
		t.Errorf("%q", text)
	}
	if !strings.Contains(a.Body, "Already holds checkpoints") {
		t.Error("no warning")
	}
	form.Set("nodes", "2")
	if a := s.Do("POST", "/runs/validate", form); strings.Contains(a.Body, "s more than project") {
		t.Error("within the limit")
	}
}

func TestAfterARefusalEveryMistakeIsShownWhileTyping(t *testing.T) {
	t.Parallel()
	got, _ := check(t, webtest.New(t), map[string]string{"submitted": "1"})
	if got["name"] == "" {
		t.Errorf("messages %v", got)
	}
}

func TestThePreviewShowsThePlanAndTheConfiguration(t *testing.T) {
	t.Parallel()
	_, a := check(t, webtest.New(t), map[string]string{"optim.total_steps": "12", "optim.batch_size": "32"})
	for key, want := range map[string]string{
		"steps":           "15 12 asked; rounded up to a whole outer step",
		"tokens-per-step": "65.5 k",
		"outer-steps":     "3 every 5 steps",
		"accumulation":    "4 × micro-batches per step",
		"shape":           "2 nodes with 1 x any GPU 2 GPUs in total",
	} {
		if got := a.Text(t, `[data-plan="`+key+`"]`); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	cfg, err := trainconf.Parse([]byte(a.Doc.Find("#preview-toml").Text()))
	if err != nil || cfg.Effective("optim.total_steps") != "12" || !cfg.DiLoCo() {
		t.Errorf("the configuration shown is not the one typed: %v", err)
	}
	_, off := check(t, webtest.New(t), map[string]string{"diloco": "off"})
	if cfg, err := trainconf.Parse([]byte(off.Doc.Find("#preview-toml").Text())); err != nil || cfg.DiLoCo() {
		t.Errorf("switched off, DiLoCo is still there: %v", err)
	}
}

func TestARefusedFormComesBackWithEverythingTyped(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	form := webtest.FormOf(t, s.Get("/runs/new?preset=debug-diloco", 200))
	typed := map[string]string{
		"name": "", "optim.batch_size": "17", "optim.optim.lr": `"><script>alert(1)</script>`, "nodes": "many", "gpu_model": "A100 80GB", "ckpt.path": "/a/b", "ckpt.interval": "10",
	}
	for k, v := range typed {
		form.Set(k, v)
	}
	a := s.Do("POST", "/runs", form)
	if a.Status != http.StatusUnprocessableEntity || len(s.Fake.Submitted) != 0 {
		t.Fatalf("status %d, %d submitted", a.Status, len(s.Fake.Submitted))
	}
	back := webtest.FormOf(t, a)
	for k, v := range form {
		if k != "shown" && back.Get(k) != v[0] {
			t.Errorf("%s came back as %q, not %q", k, back.Get(k), v[0])
		}
	}
	a.Doc.Find("#form-summary a").Each(func(_ int, el *goquery.Selection) {
		if a.Count(el.AttrOr("href", "")) != 1 {
			t.Errorf("the summary links to %q, which is not there", el.AttrOr("href", ""))
		}
	})
	for _, field := range []string{"name", "optim-batch_size", "optim-optim-lr", "nodes"} {
		if a.Count(`#form-summary a[href="#f-`+field+`"]`) != 1 || a.Count(`#f-`+field+`[aria-invalid=true]`) != 1 {
			t.Errorf("%s is not marked", field)
		}
	}
	webtest.AssertNoInlineCode(t, a)
}

func TestWhatControlRefusesIsShownOnTheForm(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	form := webtest.FormOf(t, s.Get("/runs/new?preset=debug", 200))
	form.Set("name", "taken")
	s.Fake.SubmitErr = run.FieldErrors{{Field: "name", Value: "taken", Rule: "is taken", Fix: "choose another"}, {Field: "quota", Value: "10", Rule: "is used up", Fix: "wait"}}
	a := s.Do("POST", "/runs", form)
	if a.Status != http.StatusUnprocessableEntity {
		t.Fatalf("status %d", a.Status)
	}
	if got := a.Text(t, "#f-name-message"); got != "Is taken. Choose another." {
		t.Errorf("message %q", got)
	}
	if got := a.Text(t, "#form-summary li:last-child"); got != "quota: Is used up. Wait." {
		t.Errorf("for a field that the form does not have: %q", got)
	}
	s.Fake.SubmitErr = fault.ErrUnavailable
	if a := s.Do("POST", "/runs", form); a.Status != http.StatusServiceUnavailable {
		t.Errorf("not reachable: %d", a.Status)
	}
}

func TestASecondClickRepeatsAndAChangeDoesNot(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	form := webtest.FormOf(t, s.Get("/runs/new?preset=debug", 200))
	form.Set("name", "once")
	s.Do("POST", "/runs", form)
	s.Do("POST", "/runs", form)
	form.Set("optim.total_steps", "6")
	s.Do("POST", "/runs", form)
	sub := s.Fake.Submitted
	if len(sub) != 3 || sub[0].Key != sub[1].Key || sub[0].Key == sub[2].Key || len(sub[0].Key) > 100 {
		t.Errorf("keys of the same and of another form: %+v", sub)
	}
	other := webtest.FormOf(t, s.Get("/runs/new?preset=debug", 200))
	if other.Get("key") == form.Get("key") || len(other.Get("key")) < 20 {
		t.Error("two pages have one key")
	}
}

func TestTheSampleRunIsOneClick(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	a := s.Do("POST", "/runs/sample", nil)
	if a.Status != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), "/runs/r-") {
		t.Fatalf("%d to %q", a.Status, a.Header.Get("Location"))
	}
	name, cfg, shape := trainconf.Sample()
	if sub := s.Fake.Submitted[0]; sub.Name != name || sub.Config != string(cfg.TOML()) || sub.Shape != shape {
		t.Errorf("submitted %+v", sub)
	}
}

func TestADefaultOfOneIsNotSaidInThePlural(t *testing.T) {
	t.Parallel()
	a := webtest.New(t).Get("/runs/new", 200)
	for id, want := range map[string]string{
		"f-nodes": "Default: 1 worker", "f-train-micro_bs": "Default: 1 sample", "f-optim-batch_size": "Default: 512 samples",
	} {
		if got := a.Text(t, fmt.Sprintf(`[id="%s-help"] .field-default`, id)); got != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
}

func TestThePlanTakesTheSlowestMeasuredLinkThatTheRunCouldGet(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	var reports []measure.Report
	for i, site := range []string{"ams", "ams", "fra", "fra"} {
		r := measure.Report{Node: measure.Participant{ID: fmt.Sprint(i), Name: fmt.Sprintf("n%d", i), Site: site, GPUs: []string{"nvidia/gpu/A100"}}, Links: map[string]measure.Link{}}
		for j := range 4 {
			r.Links[fmt.Sprint(j)] = measure.Link{At: webtest.Now, RoundTrip: 1, Bandwidth: []float64{4e9, 2e9}[(i/2+j/2)%2], BandwidthAt: webtest.Now.Add(-3 * time.Hour)}
		}
		reports = append(reports, r)
	}
	l := reports[2].Links["3"]
	l.Bandwidth = 1e9
	reports[2].Links["3"] = l
	s.Fake.Known = &measure.Known{Matrix: measure.NewMatrix(reports)}
	for name, c := range map[string]struct {
		set  map[string]string
		want map[string]string
	}{
		"anywhere":          {map[string]string{"optim.total_steps": "12"}, map[string]string{"bandwidth": "1.00 Gbit/s slowest of 12 links, n2 to n3, measured 3 h ago", "fastest-site": "ams 4.00 Gbit/s on its slowest measured link"}},
		"at a site":         {map[string]string{"site": "ams"}, map[string]string{"bandwidth": "4.00 Gbit/s slowest of 2 links, n0 to n1, measured 3 h ago", "fastest-site": ""}},
		"typed":             {map[string]string{"bandwidth": "500"}, map[string]string{"bandwidth": "500 Mbit/s as given below"}},
		"of another model":  {map[string]string{"gpu_model": "H100"}, map[string]string{"bandwidth": "", "sync-time": ""}},
		"on one node alone": {map[string]string{"nodes": "1", "site": "ams"}, map[string]string{"bandwidth": "", "sync-time": ""}},
	} {
		_, a := check(t, s, c.set)
		for key, want := range c.want {
			got := ""
			if a.Count(`[data-plan="`+key+`"]`) > 0 {
				got = a.Text(t, `[data-plan="`+key+`"]`)
			}
			if got != want {
				t.Errorf("%s: %s: %q, want %q", name, key, got, want)
			}
		}
	}
}

func TestRetriesAreChosenByCause(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	a := s.Get("/runs/new?preset=debug", 200)
	rows := a.Doc.Find(`[data-field="retry"] tbody tr`)
	if rows.Length() < 30 || a.Count(`[data-field="retry"] select[name="retry"]`) != rows.Length() {
		t.Fatalf("the table has %d rows", rows.Length())
	}
	for selector, want := range map[string]string{
		`[data-field="retry"] tr:has(option[value="ecc_error_xid=0"])`: "GPU hardware fault ecc_error_xid default: up to 3 never 1 2 3 5 10 20 10s to 5m on another node",
		`[data-field="retry"] tr:has(option[value="cuda_oom=0"])`:      "GPU out of memory cuda_oom default: never never 1 2 3 5 10 20 10s to 5m any node",
	} {
		if got := strings.Join(strings.Fields(a.Text(t, selector)), " "); got != want {
			t.Errorf("a row says %q, want %q", got, want)
		}
	}
	if a.Count(`option[value^="config_invalid"]`) != 0 {
		t.Error("retries of an invalid configuration are offered")
	}
	form := webtest.FormOf(t, a)
	form.Set("name", "x")
	form.Set("retries", "2")
	form["retry"] = append(form["retry"], "network_dns=7", "cuda_oom=0")
	s.Do("POST", "/runs", form)
	got := s.Fake.Submitted[0].Options
	if got.Retries != 2 || got.Retry.String() != "cuda_oom=0,network_dns=7" {
		t.Fatalf("submitted %+v", got)
	}
	form["retry"] = []string{"config_invalid=3", "network_dns=7"}
	a = s.Do("POST", "/runs", form)
	if text := a.Text(t, "#f-retry-message"); !strings.Contains(text, "never retried") {
		t.Errorf("the form says %q", text)
	}
	if v, _ := a.Doc.Find(`option[value="network_dns=7"]`).Attr("selected"); a.Doc.Find(`option[value="network_dns=7"][selected]`).Length() != 1 {
		t.Errorf("what was chosen is lost: %q", v)
	}
}
