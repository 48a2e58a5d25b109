package inbound

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestLinksOfThePageGetTheBaseAndNothingElseDoes(t *testing.T) {
	t.Parallel()
	for html, want := range map[string]string{
		`<a href="/">`:                               `<a href="/cotrain/">`,
		`<a class="x" href="/runs?q=%2F">`:           `<a class="x" href="/cotrain/runs?q=%2F">`,
		"<a\n\thref=\"/a\" data-b=\"/c\">":           "<a\n\thref=\"/cotrain/a\" data-b=\"/c\">",
		`<form action="/theme" hx-post="/theme">`:    `<form action="/cotrain/theme" hx-post="/cotrain/theme">`,
		`<div data-url="/a" data-points-url="/b">`:   `<div data-url="/cotrain/a" data-points-url="/cotrain/b">`,
		`<a href="//evil.example">`:                  `<a href="//evil.example">`,
		`<a href="https://x/"><use href="#i">`:       `<a href="https://x/"><use href="#i">`,
		`<input value="/data" name="href=">`:         `<input value="/data" name="href=">`,
		`<p title=" href=&#34;/x"> href=&#34;/y</p>`: `<p title=" href=&#34;/x"> href=&#34;/y</p>`,
		`<img src="/`: `<img src="/cotrain/`,
	} {
		if got := string(Rebase([]byte(html), "/cotrain")); got != want {
			t.Errorf("%s: %s, want %s", html, got, want)
		}
		if got := string(Rebase([]byte(html), "")); got != html {
			t.Errorf("without base: %s", got)
		}
	}
	h := http.Header{"Location": {"/a"}, "Hx-Redirect": {"https://other.example/"}, "Hx-Push-Url": {"false"}, "Hx-Replace-Url": {"//x"}}
	RebaseHeader(h, "/cotrain")
	if h.Get("Location") != "/cotrain/a" || h.Get("HX-Redirect") != "https://other.example/" || h.Get("HX-Push-Url") != "false" || h.Get("HX-Replace-Url") != "//x" {
		t.Errorf("%v", h)
	}
}

func TestNobodyIsSentToAnotherSite(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/", "/runs?q=a%20b&state=failed", "/runs/r-1#logs", "/templates/a%2Fb", "/storage?path=//x", "/diff?a=run:r-1", "/é", "/x?next=https://evil.example"} {
		if got := LocalPath(path); got != path {
			t.Errorf("%q becomes %q", path, got)
		}
	}
	for _, path := range []string{
		"", "runs", "//evil.example", "///evil.example", "https://evil.example", "http:evil.example", "javascript:alert(1)", "data:text/html,x",
		`\evil.example`, `/\evil.example`, `\/evil.example`, `/\/evil.example`, "/\t/evil.example", "/\n/evil.example", "/\r\nSet-Cookie: x", "/\x00", "/\u0085/evil", "\t/runs", " /runs",
		"/%2f/evil.example", "/%2Fevil.example", "/%5cevil.example", "/%09/evil.example", "/%0d%0aLocation:x", "/%00", "/%zz", "user:pw@evil.example", "//user@evil.example", "/\xff",
		"/" + strings.Repeat("a", 2000),
	} {
		if got := LocalPath(path); got != "/" {
			t.Errorf("%q becomes %q", path, got)
		}
	}
}

func FuzzLocalPath(f *testing.F) {
	for _, seed := range []string{"/runs", "//evil", `/\evil`, "/%2f/evil", "/..//evil", "/\t/evil"} {
		f.Add(seed)
	}
	from, err := url.Parse("https://cotrain.example.com/login")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		to, err := from.Parse(LocalPath(path))
		if err != nil || to.Host != from.Host || to.Scheme != from.Scheme || to.User != nil {
			t.Errorf("%q leads to %v, %v", path, to, err)
		}
	})
}
