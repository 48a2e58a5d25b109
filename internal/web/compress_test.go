package web_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/page"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestAnswersAreCompressedForWhoeverCanReadThem(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for _, path := range []string{"/", "/templates", "/static/css/ui/base.css", "/static/js/runs/run.js", "/nothing"} {
		plain := s.Do(http.MethodGet, path, nil, "Accept-Encoding", "identity")
		small := s.Do(http.MethodGet, path, nil, "Accept-Encoding", "gzip, deflate, br, zstd")
		if got := plain.Header.Get("Content-Encoding"); got != "" {
			t.Errorf("%s is encoded as %q for those who want it plain", path, got)
		}
		if got := small.Header.Get("Content-Encoding"); got != "gzip" || small.Header.Get("Content-Type") != plain.Header.Get("Content-Type") ||
			!strings.Contains(strings.Join(small.Header.Values("Vary"), ","), "Accept-Encoding") {
			t.Errorf("%s: encoding %q, header %v", path, got, small.Header)
			continue
		}
		zr, err := gzip.NewReader(strings.NewReader(small.Body))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(zr)
		if err != nil || string(body) != plain.Body || len(small.Body) > len(plain.Body)*2/3 {
			t.Errorf("%s: %d bytes became %d, and %d again: %v", path, len(plain.Body), len(small.Body), len(body), err)
		}
	}
}

func TestAnAnswerWithASecretIsNeitherCompressedNorKept(t *testing.T) {
	t.Parallel()
	const marker = "No-Gzip-Compression"
	s := webtest.New(t, func(d *web.Deps) {
		d.API = webtest.API(func(w http.ResponseWriter, _ *http.Request) {
			page.Secret(w)
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, strings.Repeat("a secret ", 1000))
		})
	})
	for _, encoding := range []string{"identity", "gzip, zstd"} {
		a := s.Do(http.MethodGet, "/api/v1/secret", nil, "Accept-Encoding", encoding)
		if a.Header.Get("Content-Encoding") != "" || a.Header.Get("Cache-Control") != "no-store" || len(a.Body) != 9000 || a.Header.Get(marker) != "" {
			t.Errorf("%s: %d bytes, %v", encoding, len(a.Body), a.Header)
		}
	}
}

func TestAnUnchangedFileIsNotSentAgainCompressedOrNot(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for _, encoding := range []string{"identity", "gzip"} {
		first := s.Do(http.MethodGet, "/static/css/ui/base.css", nil, "Accept-Encoding", encoding)
		again := s.Do(http.MethodGet, "/static/css/ui/base.css", nil, "Accept-Encoding", encoding, "If-None-Match", first.Header.Get("ETag"))
		if again.Status != http.StatusNotModified || again.Body != "" {
			t.Errorf("%s: %d with %d bytes", encoding, again.Status, len(again.Body))
		}
	}
}
