package web

import (
	"net/http"
	"strings"

	"github.com/cotrain/cotrain/internal/inbound"
)

// rebased puts the public URL's path before the links of every page and redirect, so that no page has to think of it.
func rebased(base string, next http.Handler) http.Handler {
	if base == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&rebaser{ResponseWriter: w, base: base}, r)
	})
}

// rebaser expects pages in one piece, as they are rendered.
type rebaser struct {
	http.ResponseWriter
	base   string
	header bool // written
	page   bool
}

func (w *rebaser) WriteHeader(status int) {
	if !w.header && status >= 200 {
		w.header = true
		h := w.Header()
		inbound.RebaseHeader(h, w.base)
		w.page = strings.HasPrefix(h.Get("Content-Type"), "text/html") && h.Get("Content-Disposition") == ""
		if w.page {
			h.Del("Content-Length")
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *rebaser) Write(b []byte) (int, error) {
	if !w.header {
		w.WriteHeader(http.StatusOK)
	}
	if !w.page {
		return w.ResponseWriter.Write(b)
	}
	if n, err := w.ResponseWriter.Write(inbound.Rebase(b, w.base)); err != nil {
		return min(n, len(b)), err
	}
	return len(b), nil
}

// Unwrap serves [http.ResponseController].
func (w *rebaser) Unwrap() http.ResponseWriter { return w.ResponseWriter }
