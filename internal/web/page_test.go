package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
)

// assertNoInlineCode fails on what the content security policy would block.
func assertNoInlineCode(t *testing.T, a answer) {
	t.Helper()
	if n := a.count("script:not([src]), style, [style]"); n != 0 {
		t.Errorf("%d inline scripts or styles", n)
	}
	a.doc.Find("*").Each(func(_ int, el *goquery.Selection) {
		for _, attr := range el.Nodes[0].Attr {
			if strings.HasPrefix(attr.Key, "on") || strings.HasPrefix(attr.Key, "hx-on") || strings.HasPrefix(attr.Val, "javascript:") {
				t.Errorf("<%s %s=%q>", el.Nodes[0].Data, attr.Key, attr.Val)
			}
		}
	})
}

func TestEveryPageHasLandmarksOneHeadingUniqueIDsAndNoInlineCode(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := testRun(run.Running)
	s.fake.runs = []run.Run{r}
	s.fake.workers = []run.Worker{{Rank: 0, NodeName: "n0", State: run.WorkerRunning}}
	s.fake.events = []run.Event{{Seq: 1, Kind: "state", To: run.Running, Rank: -1, At: testNow}}
	s.fake.logs = []run.LogLine{{Pos: 1, Text: "hello", At: testNow}}
	s.fake.nodes = []run.Node{{ID: "abcdefgh-1", Name: "n0", Status: "ready", Eligible: true, Simulated: true, GPUs: []run.GPU{{Model: "a/b/X"}}}}
	id := string(r.ID)
	sweep := run.Sweep{ID: run.NewSweepID(testNow), Name: "rates", Fields: []string{"nodes"}, Counts: map[run.State]int{run.Running: 1}}
	s.fake.templates, s.fake.sweeps = []run.Template{testTemplate("mine", 1)}, []run.Sweep{sweep}
	for path, status := range map[string]int{
		"/": 200, "/runs/new": 200, "/runs/" + id: 200, "/runs/" + id + "/stop": 200, "/runs/" + id + "/delete": 200,
		"/nodes": 200, "/dev/components": 200, "/runs/" + id + "/launch": 200, "/runs/" + id + "/template": 200,
		"/templates": 200, "/templates/mine": 200, "/templates/mine/delete": 200, "/templates/7B": 200, "/diff": 200, "/diff?a=preset:7B&b=template:mine@1": 200,
		"/diff?a=x": 404, "/sweeps": 200, "/sweeps/new?from=preset:7B": 200, "/sweeps/new": 200, "/sweeps/" + string(sweep.ID): 200, "/sweeps/" + string(sweep.ID) + "/stop": 200, "/nothing": 404, "/?state=x": 422,
	} {
		a := s.get(path, status)
		assertNoInlineCode(t, a)
		if a.count("main#main") != 1 || a.count("nav[aria-label]") == 0 || a.count("h1") != 1 || a.count("html[lang]") != 1 || a.count("title") == 0 {
			t.Errorf("%s: main %d, nav %d, h1 %d", path, a.count("main#main"), a.count("nav[aria-label]"), a.count("h1"))
		}
		seen := map[string]bool{}
		a.doc.Find("[id]").Each(func(_ int, el *goquery.Selection) {
			id, _ := el.Attr("id")
			if seen[id] {
				t.Errorf("%s: id %q twice", path, id)
			}
			seen[id] = true
		})
		a.doc.Find("input:not([type=hidden]), select, textarea").Each(func(_ int, el *goquery.Selection) {
			id, _ := el.Attr("id")
			if a.doc.Find(`label[for="`+id+`"]`).Length() == 0 {
				t.Errorf("%s: input %q has no label", path, id)
			}
		})
		csp := a.header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
	}
}

func TestEveryAssetThatAPageNamesExistsUnlessNpmHasNotRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.get("/", 200)
	a.doc.Find("link[href], script[src]").Each(func(_ int, el *goquery.Selection) {
		path, ok := el.Attr("href")
		if !ok {
			path, _ = el.Attr("src")
		}
		if strings.Contains(path, "/vendor/") {
			return
		}
		if got := s.get(path, 200).header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
			t.Errorf("%s: Cache-Control %q", path, got)
		}
	})
}

func TestTheNavigationIsOneMenuWhereTheScreenIsNarrow(t *testing.T) {
	t.Parallel()
	a := newSite(t).get("/sweeps", 200)
	if a.count(`.topbar > #menu[popover] nav .topnav-link`) != a.count(".topnav-link") || a.count(`#menu [data-nav=sweeps][aria-current=page]`) != 1 || a.count("#menu .theme-switch") != 1 {
		t.Error("the menu does not hold all of the navigation")
	}
	if a.count(`.topbar > button[popovertarget=menu][aria-label]`) != 1 || a.count(`.topbar > [data-action=new-run]`) != 1 {
		t.Error("nothing opens the menu, or a new run is in it")
	}
}

func TestThePageOfComponentsIsForDevelopmentOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(d *Deps) { d.Dev = false })
	s.get("/dev/components", 404)
	if s.get("/", 200).count(`[href="/dev/components"]`) != 0 {
		t.Error("the navigation leads to it")
	}
	dev := newSite(t).get("/dev/components", 200)
	for _, state := range run.States() {
		if dev.count(".badge.state-"+string(state)) == 0 {
			t.Errorf("no badge for %s", state)
		}
	}
}

func TestTheThemeIsRenderedByTheServer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for cookie, want := range map[string]string{"": "auto", "theme=dark": "dark", "theme=light": "light", "theme=%3Cscript%3E": "auto"} {
		a := s.do("GET", "/", nil, "Cookie", cookie)
		if got, _ := a.doc.Find("html").Attr("data-theme"); got != want {
			t.Errorf("cookie %q: theme %q, want %q", cookie, got, want)
		}
		if a.count(`.theme-switch [aria-pressed=true][value=`+want+`]`) != 1 {
			t.Errorf("cookie %q: the switch does not show %s", cookie, want)
		}
	}
}

func TestChoosingAThemeGoesBackToThePageAndNowhereElse(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for next, want := range map[string]string{
		"/runs/new?preset=1B": "/runs/new?preset=1B", "": "/", "//evil.example/": "/", "https://evil.example": "/", `/\evil.example`: "/", "/a\r\nSet-Cookie: x": "/",
	} {
		a := s.do("POST", "/theme", map[string][]string{"theme": {"dark"}, "next": {next}})
		if a.status != http.StatusSeeOther || a.header.Get("Location") != want {
			t.Errorf("next %q: %d to %q, want %q", next, a.status, a.header.Get("Location"), want)
		}
		if c := a.header.Get("Set-Cookie"); !strings.HasPrefix(c, "theme=dark;") || !strings.Contains(c, "SameSite=Lax") {
			t.Errorf("cookie %q", c)
		}
	}
}

func TestReadinessIsNotHealth(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(d *Deps) { d.Ready = func(context.Context) error { return errors.New("secret address") } })
	s.get("/healthz", 200)
	if a := s.get("/readyz", 503); strings.Contains(a.body, "secret") {
		t.Errorf("the reason reaches the client: %s", a.body)
	}
	newSite(t).get("/readyz", 200)
}

func TestABannerSaysWhatIsNotReachable(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(d *Deps) {
		d.System = func() feed.System {
			return feed.System{Nomad: "unreachable", Message: "Nomad is not reachable"}
		}
	})
	if got := s.get("/", 200).text(t, "#system-banner:not([hidden])"); got != "Nomad is not reachable" {
		t.Errorf("banner %q", got)
	}
	if a := s.get("/system", 200); !strings.Contains(a.body, `"message":"Nomad is not reachable"`) || !strings.Contains(a.body, `"seq":`) {
		t.Errorf("snapshot %s", a.body)
	}
	if newSite(t).get("/", 200).count("#system-banner[hidden]") != 1 {
		t.Error("a banner without a reason")
	}
}

func TestNodesAreListedAndSimulatedGPUsAreLabelled(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if got := s.get("/nodes", 200).text(t, "[data-empty] h2"); got != "No nodes" {
		t.Errorf("empty: %q", got)
	}
	s.fake.nodes = []run.Node{
		{ID: "bbbbbbbb-1", Name: "zeta", Status: "down"},
		{ID: "aaaaaaaa-1", Name: "alpha", Status: "ready", Eligible: true, Simulated: true, CPU: 8000, Memory: 2048, GPUs: []run.GPU{{Model: "nvidia/gpu/A100"}, {Model: "nvidia/gpu/A100"}}},
	}
	a := s.get("/nodes", 200)
	if got := a.doc.Find("tr[data-node-id]").First().Find("th span").First().Text(); got != "alpha" {
		t.Errorf("first node %q", got)
	}
	if got := a.text(t, "tr[data-node-id=aaaaaaaa-1] .tag"); got != "simulated" {
		t.Errorf("tag %q", got)
	}
	if got := a.text(t, "tr[data-node-id=bbbbbbbb-1] .badge"); got != "down" {
		t.Errorf("state %q", got)
	}
	s.fake.err = fault.ErrUnavailable
	s.get("/nodes", 503)
}
