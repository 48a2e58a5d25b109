package web_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestAnswersAreCompressedForWhoeverCanReadThem(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for _, path := range []string{"/", "/templates", "/static/css/ui/base.css", "/static/js/runs/show.js", "/nothing"} {
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
