package form_test

import (
	"bytes"
	"errors"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/trainconf/trainconftest"
	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// formWith is the form that a configuration and a shape fill, with a name.
func formWith(t *testing.T, s *webtest.Site, req trainconf.Request) url.Values {
	t.Helper()
	posted := webtest.FormOf(t, s.Get("/runs/new?preset=", 200))
	for _, f := range form.Fields() {
		posted.Set(f.Path, req.Get(f.Path))
	}
	posted.Set("name", "a case")
	posted.Set("diloco", "off")
	if req.Config.DiLoCo() {
		posted.Set("diloco", "on")
	}
	return posted
}

func TestTheFormSaysOfEveryRuleWhatTrainconfSays(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for _, c := range trainconftest.Cases() {
		for kind, toml := range map[string]string{"bad": c.Bad, "good": c.Good} {
			req, err := trainconf.RequestOf(run.Submission{Name: "a case", Config: toml, Shape: c.Shape})
			if err != nil {
				continue // a value that cannot be set never gets into a form
			}
			errs, warns := req.Check()
			posted := formWith(t, s, req)
			posted.Set("submitted", "1")
			posted.Set("shown", "") // everything, whatever the page showed already
			a := s.Do("POST", "/runs/validate", posted, "HX-Request", "true")
			shown := strings.Join(strings.Fields(a.Doc.Text()), " ")
			said := append(run.FieldErrors{}, errs...)
			if kind == "bad" {
				said = append(said, warns...)
			}
			for _, e := range said {
				if e.Field != c.Field {
					continue
				}
				if want := strings.Join(strings.Fields(form.Sentence(e)), " "); !strings.Contains(shown, want) {
					t.Errorf("%s: the form does not say %q", c.Name, want)
				}
			}
			if invalid := a.Count("[data-invalid=true]") > 0; kind == "good" && invalid {
				t.Errorf("%s: the good one is refused: %s", c.Name, a.Doc.Find("[data-invalid=true]").Text())
			}
		}
	}
}

func TestAFormFilledFromARunOrATemplateSaysWhatDiffersFromIt(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	preset, _ := trainconf.PresetByName("debug-diloco")
	made := webtest.Run(run.Succeeded)
	made.Config, made.Shape = string(preset.Config.TOML()), preset.Shape
	s.Fake.AllRuns = []run.Run{made}
	s.Fake.AllTemplates = []run.Template{{Project: "default", Name: "mine", Version: 2, Config: made.Config, Shape: preset.Shape}}
	for from, source := range map[string]string{"clone=" + string(made.ID): made.Name, "template=mine@2": "mine@2", "template=mine": "mine@2"} {
		a := s.Get("/runs/new?"+from, 200)
		if a.Count(".mark-source[data-changed]") != 0 {
			t.Errorf("%s: marked before anything was changed", from)
		}
		if got := a.Text(t, "[data-source]"); !strings.Contains(got, source) {
			t.Errorf("%s: source %q", from, got)
		}
		posted := webtest.FormOf(t, a)
		posted.Set("optim.batch_size", "32")
		posted.Set("name", "another")
		b := s.Do("POST", "/runs/validate", posted, "HX-Request", "true")
		if got := b.Text(t, "#f-optim-batch_size-mark .mark-text"); got != "changed from "+source {
			t.Errorf("%s: mark %q", from, got)
		}
		if s.Do("POST", "/runs", posted).Status != http.StatusSeeOther {
			t.Fatalf("%s: not submitted", from)
		}
		origin := s.Fake.Submitted[len(s.Fake.Submitted)-1].Origin
		if origin.Clone != made.ID && origin.Template != "default/mine@2" {
			t.Errorf("%s: origin %+v", from, origin)
		}
	}
	s.Get("/runs/new?template=gone", 404)
	s.Get("/runs/new?clone=r-0000000000", 404)
	s.Get("/runs/new?clone=%3Cscript%3E", 404)
}

func TestOnlyWhatChangedIsSentWhileTyping(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	posted := webtest.FormOf(t, s.Get("/runs/new?preset=debug-diloco", 200))
	posted.Set("name", "x")
	all := s.Do("POST", "/runs/validate", posted, "HX-Request", "true")
	posted.Set("shown", all.Doc.Find("#form-shown").AttrOr("value", ""))
	if n := s.Do("POST", "/runs/validate", posted, "HX-Request", "true").Count("[hx-swap-oob]"); n != 1 {
		t.Errorf("%d pieces for a form that has not changed, want the state alone", n)
	}
	posted.Set("optim.batch_size", "17")
	got := s.Do("POST", "/runs/validate", posted, "HX-Request", "true")
	if got.Count("#f-optim-batch_size-message[hx-swap-oob]") != 1 || got.Count("#f-nodes-message") != 0 {
		t.Error("the webtest.Answer is not the changed pieces")
	}
	posted.Set("shown", "nonsense")
	if n := s.Do("POST", "/runs/validate", posted, "HX-Request", "true").Count("[hx-swap-oob]"); n < 100 {
		t.Errorf("%d pieces for a page that nobody knows", n)
	}
}

func TestThePanelDrawsTheCurveTheMemoryAndTheSync(t *testing.T) {
	t.Parallel()
	_, a := check(t, webtest.New(t), map[string]string{
		"name_model": "1B", "data.fake": "", "optim.batch_size": "64", "bandwidth": "1000", "gpu_model": "NVIDIA H100 80GB HBM3", "gpu_min_memory": "",
	})
	for _, sel := range []string{"[data-plan-curve] polyline[points]", "[data-plan-memory] .memory-limit", `[data-plan="sync-time"]`, `[data-plan="sync-share"]`} {
		if a.Count(sel) != 1 {
			t.Errorf("no %s", sel)
		}
	}
	_, b := check(t, webtest.New(t), map[string]string{"bandwidth": "fast"})
	if b.Count(`[data-plan="sync-time"]`) != 0 || !strings.Contains(b.Text(t, "#plan-facts"), "number of Mbit/s") {
		t.Error("a bandwidth that is no number is not told")
	}
}

func TestADryRunSaysWhereOrWhyNot(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	posted := webtest.FormOf(t, s.Get("/runs/new?preset=debug-diloco", 200))
	s.Fake.Dry = run.DryRun{Fits: true, ParentJob: "cotrain-core-abc", Parent: run.ParentNew, Places: []run.Place{{Node: "node-<1>", Datacenter: "dc1", Workers: 2}}}
	a := s.Do("POST", "/runs/dryrun", posted, "HX-Request", "true")
	if a.Count(`[data-dry-run-answer] [data-fits="true"]`) != 1 || !strings.Contains(a.Text(t, "[data-places] tbody"), "node-<1>") || a.Count("[data-dry-run-answer] [data-launch]") != 1 {
		t.Errorf("answer %q", a.Text(t, "[data-dry-run-answer]"))
	}
	if place := s.Get("/runs/new", 200); place.Count("#dry-run[aria-live=polite][aria-label][tabindex='-1']:not(:has(*))") != 1 || place.Count(`[data-action=dry-run][hx-target="#dry-run"][formaction="/runs/dryrun#dry-run"]`) != 1 {
		t.Error("the webtest.Answer has no place that is read aloud and can have the focus")
	}
	if page := s.Do("POST", "/runs/dryrun", posted); page.Count("#run-form") != 1 || page.Count(`#dry-run [data-fits="true"]`) != 1 {
		t.Error("without scripts there is no page with the answer")
	}
	s.Fake.Dry = run.DryRun{Reason: "needs 3 nodes with 2 x A100, the cluster has room for 2", Parent: run.ParentCurrent}
	if got := s.Do("POST", "/runs/dryrun", posted, "HX-Request", "true").Text(t, `[data-fits="false"]`); !strings.Contains(got, "needs 3 nodes") {
		t.Errorf("answer %q", got)
	}
	s.Fake.DryErr = fault.ErrNomadUnreachable
	if got := s.Do("POST", "/runs/dryrun", posted, "HX-Request", "true").Text(t, "[data-dry-run-answer]"); !strings.Contains(got, "cannot reach Nomad") {
		t.Errorf("answer %q", got)
	}
	s.Fake.DryErr = errors.New("secret of the inside")
	if got := s.Do("POST", "/runs/dryrun", posted, "HX-Request", "true").Text(t, "[data-dry-run-answer]"); strings.Contains(got, "secret") {
		t.Errorf("answer %q", got)
	}
	posted.Set("nodes", "none")
	if got := s.Do("POST", "/runs/dryrun", posted, "HX-Request", "true").Text(t, "[data-dry-run-answer]"); !strings.Contains(got, "Not planned") {
		t.Errorf("answer %q", got)
	}
	if len(s.Fake.Submitted) != 0 {
		t.Error("a dry run started a run")
	}
}

const pasted = `name_model = "1B" # a comment
[train]
micro_bs = 4
[optim]
total_steps = 1_000
nonsense = 3
[monitor]
auth_token = "tok-secret"
export ZERO_BAND_OPTIM_BATCH_SIZE=64
`

func TestAnImportFillsTheFormAndKeepsNoSecret(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	a := s.Do("POST", "/runs/import", url.Values{"text": {pasted}})
	if a.Status != 200 {
		t.Fatalf("status %d", a.Status)
	}
	for field, want := range map[string]string{"optim-batch_size": "64", "optim-total_steps": "1000", "train-micro_bs": "4"} {
		if got, _ := a.Doc.Find("#f-" + field).Attr("value"); got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	whole, _ := a.Doc.Html()
	if strings.Contains(whole, "tok-secret") {
		t.Error("the page holds the secret")
	}
	if got := a.Text(t, "[data-import-errors]"); !strings.Contains(got, "optim.nonsense") || !strings.Contains(got, "ine 6") {
		t.Errorf("errors %q", got)
	}
	if a.Count(`[data-import-secret="ZERO_BAND_MONITOR_AUTH_TOKEN"]`) != 1 || a.Count(`[data-import-lines="understood"] tbody tr`) < 4 {
		t.Error("the report lacks the secret or what was understood")
	}
	webtest.AssertNoInlineCode(t, a)

	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	part, err := w.CreateFormFile("file", "x.toml")
	if err == nil {
		_, err = part.Write([]byte("name_model = \"7B\"\n[train]\n"))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	upload, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.HTTP.URL+"/runs/import", &body)
	if err != nil {
		t.Fatal(err)
	}
	upload.Header.Set("Content-Type", w.FormDataContentType())
	if got := s.Send(upload); got.Doc.Find(`#f-name_model option[selected]`).Text() != "7B" {
		t.Errorf("from a file: %d, %q", got.Status, got.Doc.Find("#f-name_model option[selected]").Text())
	}
	if got := s.Do("POST", "/runs/import", url.Values{}); got.Status != http.StatusUnprocessableEntity {
		t.Errorf("nothing: %d", got.Status)
	}
	if got := s.Do("POST", "/runs/import", url.Values{"text": {strings.Repeat("#", trainconf.MaxTOML+1)}}); got.Status != 200 || !strings.Contains(got.Text(t, "[data-import-errors]"), "at most") {
		t.Errorf("too long: %d", got.Status)
	}
	s.Get("/runs/import", 200)
}
