package web_test

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/cotrain/cotrain/internal/guard/guardtest"
	"github.com/cotrain/cotrain/internal/inbound"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/storage"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// whole is a site that has something of everything; base is the path of its public URL.
func whole(t *testing.T, base string) *webtest.Site {
	t.Helper()
	return wholeIn(t, t.TempDir(), base)
}

// wholeIn is whole with its shared storage in a folder.
func wholeIn(t *testing.T, dir, base string) *webtest.Site {
	t.Helper()
	for _, name := range []string{"models/final.pt", "datasets/raw/shard-1.bin", "configs/a.toml"} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files := guardtest.Open(t, dir, nil)
	s := webtest.New(t, func(d *web.Deps) {
		d.Storage = func(ctx context.Context, project string) (storage.Storage, error) { return files.In(ctx, project) }
		if base != "" {
			d.Front = inbound.Front{Public: &url.URL{Scheme: "https", Host: "example.com", Path: base}}
		}
	})
	sweep := run.Sweep{ID: run.NewSweepID(webtest.Now), Name: "rates", Fields: []string{"optim.optim.lr"}, CreatedAt: webtest.Now, Counts: map[run.State]int{run.Running: 1}}
	s.Fake.AllSweeps = []run.Sweep{sweep}
	for i, state := range run.States() {
		r := webtest.Run(state)
		r.ID = run.NewID(webtest.Now.Add(time.Duration(i) * time.Second))
		if state == run.Running {
			r.Origin = run.Origin{Sweep: sweep.ID, Point: map[string]string{"optim.optim.lr": "0.1"}}
		}
		s.Fake.AllRuns = append([]run.Run{r}, s.Fake.AllRuns...)
	}
	s.Fake.AllTemplates = []run.Template{webtest.Template("mine", 2, "name_model", "150M"), webtest.Template("mine", 1)}
	s.Fake.AllNodes = []run.Node{{ID: "aaaaaaaa-1", Name: "alpha", Status: "ready", Eligible: true}}
	s.Fake.AllEvents = []run.Event{{Seq: 1, At: webtest.Now, Kind: "state", Message: "running"}}
	s.Fake.Log = []run.LogLine{{Pos: 1, Text: "step 1"}}
	return s
}

// walk visits every page that can be reached by links from the front page, and a few that have no link.
func walk(t *testing.T, s *webtest.Site, base string, visit func(path string, a webtest.Answer)) {
	t.Helper()
	const most = 3000 // requests
	queue := []string{"/", "/dev/components", "/nothing", "/runs/r-0000000000"}
	seen := map[string]bool{}
	for n := 0; len(queue) > 0; n++ {
		if n == most {
			t.Fatalf("more than %d pages: %q", most, queue[:10])
		}
		path := queue[0]
		queue = queue[1:]
		a := s.Do(http.MethodGet, base+path, nil, "Accept-Encoding", "identity")
		if !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
			continue
		}
		visit(path, a)
		for _, name := range []string{"href", "hx-get", "data-live-url", "data-head-url"} {
			a.Doc.Find("[" + name + "]").Each(func(_ int, el *goquery.Selection) {
				to, local := strings.CutPrefix(el.AttrOr(name, ""), base+"/")
				to, _, _ = strings.Cut("/"+to, "#")
				if local && !strings.HasPrefix(to, "/static/") && !seen[to] {
					seen[to] = true
					queue = append(queue, to)
				}
			})
		}
	}
}

// reached are some of the pages that a walk must come to.
var reached = []string{"/runs/new", "/runs/import", "/sweeps", "/sweeps/new", "/templates", "/templates/mine", "/storage", "/cluster", "/dev/components"}

// TestEveryPageKeepsThePathOfThePublicURL looks at everything in a page that may be a path, so that a new attribute that
// holds one is noticed.
func TestEveryPageKeepsThePathOfThePublicURL(t *testing.T) {
	t.Parallel()
	const base = "/cotrain"
	s := whole(t, base)
	// What begins with a slash and is no link: values, and paths of files.
	noLink := regexp.MustCompile(`^(value|placeholder|title|aria-.*|data-storage-.*|data-real|content)$`)
	var visited []string
	walk(t, s, base, func(path string, a webtest.Answer) {
		visited = append(visited, path)
		for _, el := range a.Doc.Find("*").Nodes {
			for _, attr := range el.Attr {
				if strings.HasPrefix(attr.Val, "/") && !strings.HasPrefix(attr.Val, base+"/") && !noLink.MatchString(attr.Key) {
					t.Errorf("%s: <%s %s=%q> leaves the public URL's path", path, el.Data, attr.Key, attr.Val)
				}
				if strings.HasPrefix(attr.Val, base+base) {
					t.Errorf("%s: <%s %s=%q> has the path twice", path, el.Data, attr.Key, attr.Val)
				}
			}
		}
	})
	for _, path := range reached {
		if !slices.Contains(visited, path) {
			t.Errorf("the walk did not come to %s", path)
		}
	}
	if len(visited) < 40 {
		t.Errorf("%d pages were visited", len(visited))
	}
}

func TestRedirectsKeepThePathOfThePublicURL(t *testing.T) {
	t.Parallel()
	for _, kept := range []string{"/cotrain", ""} { // by the proxy, or removed by it
		s := whole(t, "/cotrain")
		own := []string{"Host", "example.com"}
		a := s.Do(http.MethodPost, kept+"/theme", url.Values{"theme": {"dark"}, "next": {"/runs/new?preset=1B"}}, own...)
		if got, cookie := a.Header.Get("Location"), a.Header.Get("Set-Cookie"); got != "/cotrain/runs/new?preset=1B" || !strings.Contains(cookie, "Path=/cotrain;") {
			t.Errorf("%q: to %s with the cookie %s", kept, got, cookie)
		}
		if a := s.Do(http.MethodGet, kept+"/runs", nil, own...); a.Header.Get("Location") != "/cotrain/" {
			t.Errorf("%q: /runs leads to %s", kept, a.Header.Get("Location"))
		}
		if a := s.Do(http.MethodGet, kept+"/?q=+first+", nil, append(own, "HX-Request", "true")...); a.Header.Get("HX-Push-Url") != "/cotrain/?q=first" {
			t.Errorf("%q: htmx is told %s", kept, a.Header.Get("HX-Push-Url"))
		}
		if a := s.Do(http.MethodGet, kept+"/runs/new", nil, own...); a.Doc.Find("form.theme-switch input[name=next]").AttrOr("value", "") != "/runs/new" {
			t.Errorf("%q: the page's own path has the public path in it, and would get it again", kept)
		}
	}
}

func TestNoPageNeedsWhatThePolicyForbids(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"unsafe", "*", "data:", "blob:", "http"} {
		if strings.Contains(web.ContentPolicy, word) {
			t.Errorf("the policy allows %s", word)
		}
	}
	walk(t, whole(t, ""), "", func(path string, a webtest.Answer) {
		if got := a.Header.Get("Content-Security-Policy"); got != web.ContentPolicy {
			t.Errorf("%s: policy %q", path, got)
		}
		webtest.AssertNoInlineCode(t, a)
		if n := a.Count("base, iframe, object, embed, meta[http-equiv]"); n != 0 {
			t.Errorf("%s: %d elements that change what the page is", path, n)
		}
		a.Doc.Find("[target=_blank]").Each(func(_ int, el *goquery.Selection) {
			if !strings.Contains(el.AttrOr("rel", ""), "noopener") {
				t.Errorf("%s: a link to a new window can be used against this page", path)
			}
		})
	})
}
