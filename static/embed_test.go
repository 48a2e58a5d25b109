package static_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
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
	versioned := get(t, a, a.Base()+"css/ui/tokens.css", "")
	if versioned.Code != 200 || !strings.Contains(versioned.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("versioned: %d, Cache-Control %q", versioned.Code, versioned.Header().Get("Cache-Control"))
	}
	if got := versioned.Header().Get("Content-Type"); got != "text/css; charset=utf-8" {
		t.Errorf("content type %q", got)
	}
	plain := get(t, a, "/static/css/ui/tokens.css", "")
	if plain.Code != 200 || plain.Header().Get("Cache-Control") != "no-cache" {
		t.Errorf("unversioned: %d, Cache-Control %q", plain.Code, plain.Header().Get("Cache-Control"))
	}
	if again := get(t, a, "/static/css/ui/tokens.css", plain.Header().Get("ETag")); again.Code != http.StatusNotModified {
		t.Errorf("with the known ETag: %d", again.Code)
	}
}

func TestEveryFileThatAScriptOrAStyleSheetNamesExists(t *testing.T) {
	t.Parallel()
	a, err := static.New()
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`(?:from\s+|import\(\s*|url\(\s*|SharedWorker\(new URL\()"([^"]+)"`)
	found := 0
	for _, folder := range []string{"js", "css"} {
		err := fs.WalkDir(os.DirFS("."), folder, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(file)
			for _, m := range names.FindAllStringSubmatch(string(text), -1) {
				found++
				if named := path.Join(path.Dir(file), m[1]); !a.Has(named) {
					t.Errorf("%s names %s, which is not there", file, named)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 30 {
		t.Errorf("%d names were found", found)
	}
}

func TestAssetsServeNothingButListedFiles(t *testing.T) {
	t.Parallel()
	a, err := static.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/static/", "/static/css", "/static/css/", "/static/vendor/.gitkeep", "/static/embed.go",
		"/static/../go.mod", "/static/" + strings.Repeat("x", 4000)} {
		if w := get(t, a, name, ""); w.Code != http.StatusNotFound {
			t.Errorf("%.60s: %d", name, w.Code)
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
