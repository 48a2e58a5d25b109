package web_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"go.uber.org/goleak"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryPageHasLandmarksOneHeadingUniqueIDsAndNoInlineCode(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	s.Fake.AllWorkers = []run.Worker{{Rank: 0, NodeName: "n0", State: run.WorkerRunning}}
	s.Fake.AllEvents = []run.Event{{Seq: 1, Kind: "state", To: run.Running, Rank: -1, At: webtest.Now}}
	s.Fake.Log = []run.LogLine{{Pos: 1, Text: "hello", At: webtest.Now}}
	s.Fake.AllNodes = []run.Node{{ID: "abcdefgh-1", Name: "n0", Status: "ready", Eligible: true, Simulated: true, GPUs: []run.GPU{{Model: "a/b/X"}}}}
	id := string(r.ID)
	sweep := run.Sweep{ID: run.NewSweepID(webtest.Now), Name: "rates", Fields: []string{"nodes"}, Counts: map[run.State]int{run.Running: 1}}
	s.Fake.AllTemplates, s.Fake.AllSweeps = []run.Template{webtest.Template("mine", 1)}, []run.Sweep{sweep}
	for path, status := range map[string]int{
		"/": 200, "/runs/new": 200, "/runs/" + id: 200, "/runs/" + id + "/stop": 200, "/runs/" + id + "/delete": 200,
		"/cluster": 200, "/admin/audit": 200, "/admin/audit?since=x": 422, "/dev/components": 200, "/runs/" + id + "/template": 200,
		"/runs/" + id + "/metrics": 200, "/runs/" + id + "/logs": 200, "/runs/" + id + "/workers": 200, "/runs/" + id + "/mesh": 200, "/runs/" + id + "/events": 200, "/runs/" + id + "/config": 200,
		"/templates": 200, "/templates/mine": 200, "/templates/mine/delete": 200, "/templates/7B": 200, "/diff": 200, "/diff?a=preset:7B&b=template:mine@1": 200,
		"/diff?a=x": 404, "/sweeps": 200, "/sweeps/new?from=preset:7B": 200, "/sweeps/new": 200, "/sweeps/" + string(sweep.ID): 200, "/sweeps/" + string(sweep.ID) + "/stop": 200, "/nothing": 404, "/?state=x": 422, "/help": 200, "/search": 200, "/search?q=first": 200, "/search?q=%3Cscript%3E": 200, "/help/database": 200, "/help/x": 404,
	} {
		a := s.Get(path, status)
		webtest.AssertNoInlineCode(t, a)
		if a.Count("main#main") != 1 || a.Count("nav[aria-label]") == 0 || a.Count("h1") != 1 || a.Count("html[lang]") != 1 || a.Count("title") == 0 {
			t.Errorf("%s: main %d, nav %d, h1 %d", path, a.Count("main#main"), a.Count("nav[aria-label]"), a.Count("h1"))
		}
		seen := map[string]bool{}
		a.Doc.Find("[id]").Each(func(_ int, el *goquery.Selection) {
			id, _ := el.Attr("id")
			if seen[id] {
				t.Errorf("%s: id %q twice", path, id)
			}
			seen[id] = true
		})
		a.Doc.Find("input:not([type=hidden]), select, textarea").Each(func(_ int, el *goquery.Selection) {
			id, _ := el.Attr("id")
			named := el.AttrOr("aria-label", "") != "" || strings.TrimSpace(el.Closest("label").Text()) != ""
			if !named && a.Doc.Find(`label[for="`+id+`"]`).Length() == 0 {
				t.Errorf("%s: input %q has no label", path, id)
			}
		})
		csp := a.Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
	}
}

func TestEveryAssetThatAPageNamesExistsUnlessNpmHasNotRun(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	a := s.Get("/", 200)
	a.Doc.Find("link[href], script[src]").Each(func(_ int, el *goquery.Selection) {
		path, ok := el.Attr("href")
		if !ok {
			path, _ = el.Attr("src")
		}
		if strings.Contains(path, "/vendor/") {
			return
		}
		if got := s.Get(path, 200).Header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
			t.Errorf("%s: Cache-Control %q", path, got)
		}
	})
}

func TestTheNavigationIsOneMenuWhereTheScreenIsNarrow(t *testing.T) {
	t.Parallel()
	a := webtest.New(t).Get("/sweeps", 200)
	if a.Count(`.topbar > #menu[popover] nav .topnav-link`) != a.Count(".topnav-link") || a.Count(`#menu [data-nav=sweeps][aria-current=page]`) != 1 ||
		a.Count("#menu .theme-switch") != 1 || a.Count("#menu #account") != 1 {
		t.Error("the menu does not hold all of the navigation")
	}
	if a.Count(`.topbar > button[popovertarget=menu][aria-label]`) != 1 || a.Count(`.topbar > [data-action=new-run]`) != 1 {
		t.Error("nothing opens the menu, or a new run is in it")
	}
}

func TestTheOldAddressOfTheClusterLeadsToIt(t *testing.T) {
	t.Parallel()
	if got := webtest.New(t).Get("/nodes", 303).Header.Get("Location"); got != "/cluster" {
		t.Errorf("to %q", got)
	}
}

func TestThePageOfComponentsIsForDevelopmentOnly(t *testing.T) {
	t.Parallel()
	s := webtest.New(t, func(d *web.Deps) { d.Dev = false })
	s.Get("/dev/components", 404)
	if s.Get("/", 200).Count(`[href="/dev/components"]`) != 0 {
		t.Error("the navigation leads to it")
	}
	dev := webtest.New(t).Get("/dev/components", 200)
	for _, state := range run.States() {
		if dev.Count(".badge.state-"+string(state)) == 0 {
			t.Errorf("no badge for %s", state)
		}
	}
}

func TestTheThemeIsRenderedByTheServer(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for cookie, want := range map[string]string{"": "auto", "theme=dark": "dark", "theme=light": "light", "theme=%3Cscript%3E": "auto"} {
		a := s.Do("GET", "/", nil, "Cookie", cookie)
		if got, _ := a.Doc.Find("html").Attr("data-theme"); got != want {
			t.Errorf("cookie %q: theme %q, want %q", cookie, got, want)
		}
		if a.Count(`.theme-switch [aria-pressed=true][value=`+want+`]`) != 1 {
			t.Errorf("cookie %q: the switch does not show %s", cookie, want)
		}
	}
}

func TestChoosingAThemeGoesBackToThePageAndNowhereElse(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for next, want := range map[string]string{
		"/runs/new?preset=1B": "/runs/new?preset=1B", "": "/", "//evil.example/": "/", "https://evil.example": "/", `/\evil.example`: "/", "/a\r\nSet-Cookie: x": "/",
	} {
		a := s.Do("POST", "/theme", map[string][]string{"theme": {"dark"}, "next": {next}})
		if a.Status != http.StatusSeeOther || a.Header.Get("Location") != want {
			t.Errorf("next %q: %d to %q, want %q", next, a.Status, a.Header.Get("Location"), want)
		}
		if c := a.Header.Get("Set-Cookie"); !strings.HasPrefix(c, "theme=dark;") || !strings.Contains(c, "SameSite=Lax") {
			t.Errorf("cookie %q", c)
		}
	}
}

func TestShortcutsOfASingleKeyAreSwitchedOff(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for cookie, next := range map[string]string{"": "off", "keys=on": "off", "keys=off": "on", "keys=%3Cscript%3E": "off"} {
		a := s.Do("GET", "/", nil, "Cookie", cookie)
		off := next == "on"
		if got := a.Doc.Find("html").AttrOr("data-keys", ""); (got == "off") != off {
			t.Errorf("cookie %q: keys %q", cookie, got)
		}
		if a.Count(`#account form[action="/keys"] button[name=keys][value=`+next+`][aria-pressed=`+map[bool]string{true: "false", false: "true"}[off]+`]`) != 1 {
			t.Errorf("cookie %q: the switch does not offer %s", cookie, next)
		}
		if hints := a.Count(".topbar-search kbd"); (hints == 0) != off {
			t.Errorf("cookie %q: %d hints at a key", cookie, hints)
		}
		b := s.Do("POST", "/keys", map[string][]string{"keys": {next}, "next": {"/templates"}})
		if c := b.Header.Get("Set-Cookie"); b.Status != http.StatusSeeOther || b.Header.Get("Location") != "/templates" || !strings.HasPrefix(c, "keys="+next+";") {
			t.Errorf("%d to %q with %q", b.Status, b.Header.Get("Location"), c)
		}
	}
}

func TestReadinessIsNotHealth(t *testing.T) {
	t.Parallel()
	s := webtest.New(t, func(d *web.Deps) { d.Ready = func(context.Context) error { return errors.New("secret address") } })
	s.Get("/healthz", 200)
	if a := s.Get("/readyz", 503); strings.Contains(a.Body, "secret") {
		t.Errorf("the reason reaches the client: %s", a.Body)
	}
	webtest.New(t).Get("/readyz", 200)
}

func TestAnybodyMayKnowHowManyServersWorkButNotWhere(t *testing.T) {
	t.Parallel()
	s := webtest.New(t, func(d *web.Deps) {
		d.Servers = func() []run.Server {
			return []run.Server{{Address: "http://10.0.0.1:4646", Problem: "secret"}, {Address: "http://10.0.0.2:4646", InUse: true}}
		}
		d.Ready = func(context.Context) error {
			return fault.New(fault.ErrNomadUnreachable, "No server of Nomad works: http://10.0.0.1:4646: secret.", "")
		}
	})
	got := s.Get("/readyz", 503).Body
	if !strings.Contains(got, `"nomad":"1 of 2 servers work"`) || !strings.Contains(got, "check Nomad") || strings.Contains(got, "10.0.0") || strings.Contains(got, "secret") {
		t.Errorf("it says %s", got)
	}
}

func TestABannerSaysWhatIsNotReachable(t *testing.T) {
	t.Parallel()
	s := webtest.New(t, func(d *web.Deps) {
		d.System = func() feed.System {
			return feed.System{Nomad: "unreachable", Message: "Nomad is not reachable"}
		}
	})
	if got := s.Get("/", 200).Text(t, "#system-banner:not([hidden])"); got != "Nomad is not reachable" {
		t.Errorf("banner %q", got)
	}
	if a := s.Get("/system", 200); !strings.Contains(a.Body, `"message":"Nomad is not reachable"`) || !strings.Contains(a.Body, `"seq":`) {
		t.Errorf("snapshot %s", a.Body)
	}
	if webtest.New(t).Get("/", 200).Count("#system-banner[hidden]") != 1 {
		t.Error("a banner without a reason")
	}
}

func TestNodesAreListedAndSimulatedGPUsAreLabelled(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	if got := s.Get("/cluster", 200).Text(t, "[data-empty] h2"); got != "No nodes" {
		t.Errorf("empty: %q", got)
	}
	s.Fake.AllNodes = []run.Node{
		{ID: "bbbbbbbb-1", Name: "zeta", Status: "down"},
		{ID: "aaaaaaaa-1", Name: "alpha", Status: "ready", Eligible: true, Simulated: true, CPU: 8000, Memory: 2048, GPUs: []run.GPU{{Model: "nvidia/gpu/A100"}, {Model: "nvidia/gpu/A100"}}},
	}
	a := s.Get("/cluster", 200)
	if got := a.Doc.Find("tr[data-node-id]").First().Find("th span").First().Text(); got != "alpha" {
		t.Errorf("first node %q", got)
	}
	if got := a.Text(t, "tr[data-node-id=aaaaaaaa-1] .tag"); got != "simulated" {
		t.Errorf("tag %q", got)
	}
	if got := a.Text(t, "tr[data-node-id=bbbbbbbb-1] .badge"); got != "down" {
		t.Errorf("state %q", got)
	}
	s.Fake.Err = fault.ErrUnavailable
	s.Get("/cluster", 503)
}
