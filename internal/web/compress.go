package web

import (
	"net/http"

	"github.com/klauspost/compress/gzhttp"
)

// compressed are the types of what the console makes and sends: a page of three hundred workers shrinks to a twentieth.
// Files of shared storage are octet streams, which are mostly checkpoints and do not shrink. No page holds a secret beside
// what a stranger may have written, so that nothing can be learnt from a length.
var compressed = []string{
	"text/html", "text/plain", "text/css", "text/javascript", "image/svg+xml", "application/json", "application/problem+json",
	"application/openapi+json", "application/toml", "application/x-ndjson",
}

// compress sends answers as small as the browser lets it, with the fastest gzip: every browser knows it, and its encoders
// take little memory. A socket is not an answer and passes.
func compress(next http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.ContentTypes(compressed), gzhttp.CompressionLevel(1), gzhttp.EnableZstd(false))
	if err != nil {
		panic("web: " + err.Error()) // the options are constants
	}
	smaller := wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			next.ServeHTTP(w, r)
			return
		}
		smaller.ServeHTTP(w, r)
	})
}
