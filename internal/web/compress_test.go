package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestAnswersAreCompressedForWhoeverCanReadThem(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, path := range []string{"/", "/templates", "/static/css/base.css", "/static/js/run.js", "/nothing"} {
		plain := s.do(http.MethodGet, path, nil, "Accept-Encoding", "identity")
		small := s.do(http.MethodGet, path, nil, "Accept-Encoding", "gzip, deflate, br, zstd")
		if got := plain.header.Get("Content-Encoding"); got != "" {
			t.Errorf("%s is encoded as %q for those who want it plain", path, got)
		}
		if got := small.header.Get("Content-Encoding"); got != "gzip" || small.header.Get("Content-Type") != plain.header.Get("Content-Type") ||
			!strings.Contains(strings.Join(small.header.Values("Vary"), ","), "Accept-Encoding") {
			t.Errorf("%s: encoding %q, header %v", path, got, small.header)
			continue
		}
		zr, err := gzip.NewReader(strings.NewReader(small.body))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(zr)
		if err != nil || string(body) != plain.body || len(small.body) > len(plain.body)*2/3 {
			t.Errorf("%s: %d bytes became %d, and %d again: %v", path, len(plain.body), len(small.body), len(body), err)
		}
	}
}

func TestAnUnchangedFileIsNotSentAgainCompressedOrNot(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, encoding := range []string{"identity", "gzip"} {
		first := s.do(http.MethodGet, "/static/css/base.css", nil, "Accept-Encoding", encoding)
		again := s.do(http.MethodGet, "/static/css/base.css", nil, "Accept-Encoding", encoding, "If-None-Match", first.header.Get("ETag"))
		if again.status != http.StatusNotModified || again.body != "" {
			t.Errorf("%s: %d with %d bytes", encoding, again.status, len(again.body))
		}
	}
}
