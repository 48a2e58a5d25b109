package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// formOf is what a browser would send for the page as it stands.
func formOf(t *testing.T, a answer) url.Values {
	t.Helper()
	out := url.Values{}
	a.doc.Find("#run-form input, #run-form select, #run-form textarea").Each(func(_ int, el *goquery.Selection) {
		name, _ := el.Attr("name")
		value, _ := el.Attr("value")
		switch {
		case goquery.NodeName(el) == "textarea":
			value = strings.TrimPrefix(el.Text(), "\n")
		case goquery.NodeName(el) == "select":
			value, _ = el.Find("option[selected]").Attr("value")
		case el.AttrOr("type", "") == "checkbox":
			if _, ok := el.Attr("checked"); !ok {
				return
			}
		}
		out.Set(name, value)
	})
	return out
}

func TestEveryPresetFillsAFormThatNeedsNothingButAName(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	names := []string{""}
	for _, p := range trainconf.Presets() {
		names = append(names, p.Name)
	}
	for _, name := range names {
		form := formOf(t, s.get("/runs/new?preset="+url.QueryEscape(name), 200))
		if form.Get("preset") != name {
			t.Errorf("%q: the form has preset %q", name, form.Get("preset"))
		}
		form.Set("name", "with "+name)
		a := s.do("POST", "/runs", form)
		if a.status != http.StatusSeeOther {
			t.Errorf("%q: %d, %s", name, a.status, strings.Join(strings.Fields(a.doc.Find("#form-summary").Text()), " "))
			continue
		}
		sub := s.fake.submitted[len(s.fake.submitted)-1]
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
	a := newSite(t).get("/runs/new", 200)
	for _, f := range formFields() {
		id := "f-" + strings.ReplaceAll(f.Path, ".", "-")
		if n := a.count(fmt.Sprintf(`#run-form [id="%s"][name="%s"]`, id, f.Path)); n != 1 {
			t.Errorf("%d inputs of %s", n, f.Path)
		}
		if a.count(fmt.Sprintf(`#run-form [data-for="%s"]`, id)) != 1 {
			t.Errorf("no place for a message of %s", f.Path)
		}
	}
	if got := a.count("#run-form fieldset[data-section]"); got != len(trainconf.Sections()) {
		t.Errorf("%d sections", got)
	}
}

func TestChoosingAPresetKeepsTheName(t *testing.T) {
	t.Parallel()
	a := newSite(t).do("GET", "/runs/new?preset=7B-diloco&name=kept", nil, "HX-Request", "true")
	if got, _ := a.doc.Find("#f-name").Attr("value"); got != "kept" {
		t.Errorf("name %q", got)
	}
	if got, _ := a.doc.Find("#f-ckpt-interval").Attr("value"); got != "1000" {
		t.Errorf("interval %q", got)
	}
	if got := a.header.Get("HX-Replace-Url"); got != "/runs/new?preset=7B-diloco" {
		t.Errorf("address %q", got)
	}
	newSite(t).get("/runs/new?preset=nonsense", 422)
}

// check posts a changed form to the check and returns the text of each message by field.
func check(t *testing.T, s *site, change map[string]string) (map[string]string, answer) {
	t.Helper()
	form := formOf(t, s.get("/runs/new?preset=debug-diloco", 200))
	for k, v := range change {
		form.Set(k, v)
	}
	a := s.do("POST", "/runs/validate", form, "HX-Request", "true")
	if a.status != 200 {
		t.Fatalf("status %d", a.status)
	}
	out := map[string]string{}
	a.doc.Find(`[data-for][hx-swap-oob]`).Each(func(_ int, el *goquery.Selection) {
		if el.AttrOr("data-invalid", "") == "true" {
			out[strings.ReplaceAll(strings.TrimPrefix(el.AttrOr("data-for", ""), "f-"), "-", ".")] = strings.TrimSpace(el.Text())
		}
	})
	return out, a
}

func TestMistakesAreShownBesideTheirFieldWhileTyping(t *testing.T) {
	t.Parallel()
	s := newSite(t)
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
			if a.count("#form-shown[hx-swap-oob]") != 1 || a.count("html > body > main") != 0 {
				t.Error("the answer is not the fragments alone")
			}
		})
	}
}

func TestAfterARefusalEveryMistakeIsShownWhileTyping(t *testing.T) {
	t.Parallel()
	got, _ := check(t, newSite(t), map[string]string{"submitted": "1"})
	if got["name"] == "" {
		t.Errorf("messages %v", got)
	}
}

func TestThePreviewShowsThePlanAndTheConfiguration(t *testing.T) {
	t.Parallel()
	_, a := check(t, newSite(t), map[string]string{"optim.total_steps": "12", "optim.batch_size": "32"})
	for key, want := range map[string]string{
		"steps":           "15 12 asked; DiLoCo ends with a whole outer step",
		"tokens-per-step": "65.5 k",
		"outer-steps":     "3 one every 5 steps",
		"accumulation":    "4 × micro-batches of one GPU in a step",
		"shape":           "2 nodes with 1 x any GPU 2 GPUs in all",
	} {
		if got := a.text(t, `[data-plan="`+key+`"]`); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	cfg, err := trainconf.Parse([]byte(a.doc.Find("#preview-toml").Text()))
	if err != nil || cfg.Effective("optim.total_steps") != "12" || !cfg.DiLoCo() {
		t.Errorf("the configuration shown is not the one typed: %v", err)
	}
	_, off := check(t, newSite(t), map[string]string{"diloco": "off"})
	if cfg, err := trainconf.Parse([]byte(off.doc.Find("#preview-toml").Text())); err != nil || cfg.DiLoCo() {
		t.Errorf("switched off, DiLoCo is still there: %v", err)
	}
}

func TestARefusedFormComesBackWithEverythingTyped(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	form := formOf(t, s.get("/runs/new?preset=debug-diloco", 200))
	typed := map[string]string{
		"name": "", "optim.batch_size": "17", "optim.optim.lr": `"><script>alert(1)</script>`, "nodes": "many", "gpu_model": "A100 80GB", "ckpt.path": "/a/b", "ckpt.interval": "10",
	}
	for k, v := range typed {
		form.Set(k, v)
	}
	a := s.do("POST", "/runs", form)
	if a.status != http.StatusUnprocessableEntity || len(s.fake.submitted) != 0 {
		t.Fatalf("status %d, %d submitted", a.status, len(s.fake.submitted))
	}
	back := formOf(t, a)
	for k, v := range form {
		if k != "shown" && back.Get(k) != v[0] {
			t.Errorf("%s came back as %q, not %q", k, back.Get(k), v[0])
		}
	}
	a.doc.Find("#form-summary a").Each(func(_ int, el *goquery.Selection) {
		if a.count(el.AttrOr("href", "")) != 1 {
			t.Errorf("the summary links to %q, which is not there", el.AttrOr("href", ""))
		}
	})
	for _, field := range []string{"name", "optim-batch_size", "optim-optim-lr", "nodes"} {
		if a.count(`#form-summary a[href="#f-`+field+`"]`) != 1 || a.count(`#f-`+field+`[aria-invalid=true]`) != 1 {
			t.Errorf("%s is not marked", field)
		}
	}
	assertNoInlineCode(t, a)
}

func TestWhatControlRefusesIsShownOnTheForm(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	form := formOf(t, s.get("/runs/new?preset=debug", 200))
	form.Set("name", "taken")
	s.fake.submitErr = run.FieldErrors{{Field: "name", Value: "taken", Rule: "is taken", Fix: "choose another"}, {Field: "quota", Value: "10", Rule: "is used up", Fix: "wait"}}
	a := s.do("POST", "/runs", form)
	if a.status != http.StatusUnprocessableEntity {
		t.Fatalf("status %d", a.status)
	}
	if got := a.text(t, "#f-name-message"); got != "Is taken. Choose another." {
		t.Errorf("message %q", got)
	}
	if got := a.text(t, "#form-summary li:last-child"); got != "quota: Is used up. Wait." {
		t.Errorf("for a field that the form does not have: %q", got)
	}
	s.fake.submitErr = fault.ErrUnavailable
	if a := s.do("POST", "/runs", form); a.status != http.StatusServiceUnavailable {
		t.Errorf("not reachable: %d", a.status)
	}
}

func TestASecondClickRepeatsAndAChangeDoesNot(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	form := formOf(t, s.get("/runs/new?preset=debug", 200))
	form.Set("name", "once")
	s.do("POST", "/runs", form)
	s.do("POST", "/runs", form)
	form.Set("optim.total_steps", "6")
	s.do("POST", "/runs", form)
	sub := s.fake.submitted
	if len(sub) != 3 || sub[0].Key != sub[1].Key || sub[0].Key == sub[2].Key || len(sub[0].Key) > 100 {
		t.Errorf("keys of the same and of another form: %+v", sub)
	}
	other := formOf(t, s.get("/runs/new?preset=debug", 200))
	if other.Get("key") == form.Get("key") || len(other.Get("key")) < 20 {
		t.Error("two pages have one key")
	}
}

func TestTheSampleRunIsOneClick(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.do("POST", "/runs/sample", nil)
	if a.status != http.StatusSeeOther || !strings.HasPrefix(a.header.Get("Location"), "/runs/r-") {
		t.Fatalf("%d to %q", a.status, a.header.Get("Location"))
	}
	name, cfg, shape := trainconf.Sample()
	if sub := s.fake.submitted[0]; sub.Name != name || sub.Config != string(cfg.TOML()) || sub.Shape != shape {
		t.Errorf("submitted %+v", sub)
	}
}

func TestADefaultOfOneIsNotSaidInThePlural(t *testing.T) {
	t.Parallel()
	a := newSite(t).get("/runs/new", 200)
	for id, want := range map[string]string{
		"f-nodes": "Default: 1 worker.", "f-train-micro_bs": "Default: 1 sample.", "f-optim-batch_size": "Default: 512 samples.",
	} {
		if got := a.text(t, fmt.Sprintf(`[id="%s-help"] .field-default`, id)); got != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
}
