package static_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/cotrain/cotrain/static"
)

func get(t *testing.T, h http.Handler, target, etag string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestAssetsAreImmutableUnderTheirVersionAndRevalidatedWithoutIt(t *testing.T) {
	t.Parallel()
	a, err := static.New()
	if err != nil {
		t.Fatal(err)
	}
	versioned := get(t, a, a.Base()+"css/tokens.css", "")
	if versioned.Code != 200 || !strings.Contains(versioned.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("versioned: %d, Cache-Control %q", versioned.Code, versioned.Header().Get("Cache-Control"))
	}
	if got := versioned.Header().Get("Content-Type"); got != "text/css; charset=utf-8" {
		t.Errorf("content type %q", got)
	}
	plain := get(t, a, "/static/css/tokens.css", "")
	if plain.Code != 200 || plain.Header().Get("Cache-Control") != "no-cache" {
		t.Errorf("unversioned: %d, Cache-Control %q", plain.Code, plain.Header().Get("Cache-Control"))
	}
	if again := get(t, a, "/static/css/tokens.css", plain.Header().Get("ETag")); again.Code != http.StatusNotModified {
		t.Errorf("with the known ETag: %d", again.Code)
	}
}

func TestAssetsServeNothingButListedFiles(t *testing.T) {
	t.Parallel()
	a, err := static.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/static/", "/static/css", "/static/css/", "/static/vendor/.gitkeep", "/static/embed.go",
		"/static/../go.mod", "/static/" + strings.Repeat("x", 4000)} {
		if w := get(t, a, path, ""); w.Code != http.StatusNotFound {
			t.Errorf("%.60s: %d", path, w.Code)
		}
	}
}

func TestTheVersionChangesWithAnyFile(t *testing.T) {
	t.Parallel()
	version := func(body string) string {
		a, err := static.FromFS(fstest.MapFS{"a.css": {Data: []byte("x")}, "b.js": {Data: []byte(body)}})
		if err != nil {
			t.Fatal(err)
		}
		return a.Base()
	}
	if version("1") == version("2") {
		t.Error("two different trees have one version")
	}
	if first, again := version("1"), version("1"); first != again {
		t.Errorf("one tree has two versions, %s and %s", first, again)
	}
}
