package web_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/cotrain/cotrain/internal/api/apitest"
	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// made is what a secret that the console chose looks like: a password; a token or a code; a token of [apitest.Console].
var made = regexp.MustCompile(`\b[A-Z2-7]{20}\b|(?:^|[^A-Za-z0-9_-])(?:ctk_[a-z2-7]{12}_)?[A-Za-z0-9_-]{43}(?:$|[^A-Za-z0-9_-])|ctk_token\d`)

// browser keeps cookies, takes compressed answers, and judges those that hold a secret.
type browser struct {
	*webtest.Site
	cookies map[string]string
	secrets []string // the requests that were answered with one
}

func (b *browser) ask(method, path string, form url.Values) webtest.Answer {
	b.T.Helper()
	var header []string
	for name, value := range b.cookies {
		header = append(header, "Cookie", name+"="+value)
	}
	a := b.judge(method, path, b.Do(method, path, form, append(header, "Accept-Encoding", "gzip")...))
	for _, c := range (&http.Response{Header: a.Header}).Cookies() {
		b.cookies[c.Name] = c.Value
	}
	return a
}

// askAPI sends JSON.
func (b *browser) askAPI(path, body string) {
	b.T.Helper()
	r, err := http.NewRequestWithContext(b.T.Context(), http.MethodPost, b.HTTP.URL+path, strings.NewReader(body))
	if err != nil {
		b.T.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept-Encoding", "gzip")
	b.judge(r.Method, path, b.Send(r))
}

// judge unpacks an answer.
func (b *browser) judge(method, path string, a webtest.Answer) webtest.Answer {
	b.T.Helper()
	packed := a.Header.Get("Content-Encoding") != ""
	if packed {
		a = unpacked(b.T, a)
	}
	if secret := made.FindString(a.Body); secret != "" {
		at, _, _ := strings.Cut(path, "?")
		b.secrets = append(b.secrets, method+" "+at)
		if kept := a.Header.Get("Cache-Control"); packed || kept != "no-store" {
			b.T.Errorf("%s %s answers with a secret, %q: compressed %t, Cache-Control %q", method, path, secret, packed, kept)
		}
	}
	return a
}

func unpacked(t *testing.T, a webtest.Answer) webtest.Answer {
	t.Helper()
	zr, err := gzip.NewReader(strings.NewReader(a.Body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	a.Body = string(text)
	if a.Doc, err = goquery.NewDocumentFromReader(bytes.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	return a
}

// leavesOut are the forms that end what the walk is about.
var leavesOut = regexp.MustCompile(`^/logout$|^/account/(sessions|password)|^/admin/users/ann/|/(delete|disable|remove)$`)

// send sends a form of a page with a name, once with each kind that it offers.
func (b *browser) send(form *goquery.Selection) {
	fields := url.Values{}
	form.Find("input[name]:not([type=checkbox]), select[name]").Each(func(_ int, el *goquery.Selection) {
		value := el.AttrOr("value", el.Find("option").First().AttrOr("value", ""))
		if name := el.AttrOr("name", ""); name == "name" {
			fields.Set(name, "one")
		} else {
			fields.Set(name, value)
		}
	})
	kinds := form.Find("select[name=kind] option").Map(func(_ int, el *goquery.Selection) string { return el.AttrOr("value", "") })
	if len(kinds) == 0 {
		b.ask(http.MethodPost, form.AttrOr("action", ""), fields)
	}
	for _, kind := range kinds {
		fields.Set("kind", kind)
		fields.Set("name", kind)
		b.ask(http.MethodPost, form.AttrOr("action", ""), fields)
	}
}

// walk visits every page, sends every form, and then visits those that are new.
func (b *browser) walk() {
	seen := map[string]bool{}
	for queue := []string{"/"}; len(queue) > 0; queue = queue[1:] {
		a := b.ask(http.MethodGet, queue[0], nil)
		if !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
			continue
		}
		a.Doc.Find("[href]").Each(func(_ int, el *goquery.Selection) {
			to, _, _ := strings.Cut(el.AttrOr("href", ""), "#")
			if strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "/static/") && !seen[to] {
				seen[to] = true
				queue = append(queue, to)
			}
		})
		sent := len(seen)
		a.Doc.Find("form[method=post]").Each(func(_ int, form *goquery.Selection) {
			if action := form.AttrOr("action", ""); !seen["POST "+action] && !leavesOut.MatchString(action) {
				seen["POST "+action] = true
				b.send(form)
			}
		})
		if len(seen) > sent { // what was made is on the page now
			queue = append(queue, queue[0])
		}
	}
}

// TestEveryAnswerWithASecretIsNeitherCompressedNorKept has every page and form make what secrets it can, so that a new one
// that shows one is noticed.
func TestEveryAnswerWithASecretIsNeitherCompressedNorKept(t *testing.T) {
	t.Parallel()
	st, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	service, err := auth.New(t.Context(), auth.Options{Accounts: st.Accounts, Audit: st.Audit, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return webtest.Now }})
	if err != nil {
		t.Fatal(err)
	}
	api := apitest.New().Handler(slog.New(slog.DiscardHandler))
	b := &browser{cookies: map[string]string{}, Site: webtest.New(t, func(d *web.Deps) {
		d.Auth, d.Accounts, d.Admin, d.Projects, d.API = service, service, service, service.ProjectNames, api
	})}
	link, err := url.Parse(service.SetUpLink())
	if err != nil {
		t.Fatal(err)
	}
	b.ask(http.MethodGet, link.String(), nil)
	person := url.Values{"code": {link.Query().Get("code")}, "name": {"ann"}, "password": {"short"}, "again": {"short"}}
	b.ask(http.MethodPost, "/setup", person)
	person["password"], person["again"] = []string{"plenty of small otters"}, []string{"plenty of small otters"}
	if a := b.ask(http.MethodPost, "/setup", person); a.Status != http.StatusSeeOther {
		t.Fatalf("%d: %s", a.Status, a.Body)
	}
	b.walk()
	b.askAPI("/api/v1/tokens", `{"name":"one","scopes":["read"]}`)
	slices.Sort(b.secrets)
	want := []string{
		"GET /setup", "POST /account/tokens", "POST /admin/users", "POST /admin/users/person/password", "POST /admin/users/service/tokens", "POST /api/v1/tokens", "POST /setup",
	}
	if got := slices.Compact(b.secrets); !slices.Equal(got, want) {
		t.Errorf("secrets come from %q, not %q", got, want)
	}
}
