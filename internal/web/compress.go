package web

import (
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzhttp"
)

// compressed are the types worth compressing: a page of three hundred workers shrinks to a twentieth. Files of shared
// storage, mostly checkpoints, do not shrink.
//
// The length of a compressed page tells whoever can measure it, and have text of theirs in it, what else is in it (BREACH). So
// an answer that holds a secret is marked with page.Secret, or an operation of the API with the header No-Gzip-Compression,
// and is sent as it is. Sessions are cookies, which are in no body.
var compressed = []string{
	"text/html", "text/plain", "text/css", "text/javascript", "image/svg+xml", "application/json", "application/problem+json",
	"application/openapi+json", "application/toml", "application/x-ndjson",
}

// gzipped ends the entity tag of a compressed answer: a strong tag names bytes. Handlers know nothing of it.
const gzipped = "-gzip"

// compress uses the fastest gzip: every browser knows it, and it needs little memory. Sockets pass through.
func compress(next http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.ContentTypes(compressed), gzhttp.CompressionLevel(1), gzhttp.EnableZstd(false), gzhttp.SuffixETag(gzipped))
	if err != nil {
		panic("web: " + err.Error()) // the options are constants
	}
	smaller := wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			next.ServeHTTP(w, r)
			return
		}
		for _, name := range []string{"If-None-Match", "If-Match", "If-Range"} {
			if tags := r.Header.Get(name); strings.Contains(tags, gzipped+`"`) {
				r.Header.Set(name, strings.ReplaceAll(tags, gzipped+`"`, `"`))
			}
		}
		smaller.ServeHTTP(w, r)
	})
}
