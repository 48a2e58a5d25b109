// Package static holds what browsers load: style sheets, scripts and pictures, embedded into the binary. The
// folder vendor is filled from npm by make; without it pages still read and submit, but are neither live nor charted.
package static

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed css js img all:vendor
var embedded embed.FS

// Prefix is the path below which assets are served.
const Prefix = "/static/"

// contentTypes lists what may be served, by extension.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

type asset struct {
	body        []byte
	contentType string
	etag        string
}

// Assets serves the embedded files. A path that carries the version, as [Assets.Base] gives it, may be cached for
// ever; the same path without the version is answered too and revalidated each time.
type Assets struct {
	version string
	files   map[string]asset
}

// New reads the embedded files.
func New() (*Assets, error) { return FromFS(embedded) }

// FromFS reads every servable file of fsys.
func FromFS(fsys fs.FS) (*Assets, error) {
	a := &Assets{files: map[string]asset{}}
	tree := sha256.New()
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		contentType, ok := contentTypes[path.Ext(name)]
		if !ok {
			return nil
		}
		body, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		_, _ = fmt.Fprintf(tree, "%s %x\n", name, sum) // a hash never fails to write
		a.files[name] = asset{body: body, contentType: contentType, etag: `"` + hex.EncodeToString(sum[:8]) + `"`}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read embedded assets: %w", err)
	}
	a.version = hex.EncodeToString(tree.Sum(nil)[:8])
	return a, nil
}

// Base is the versioned path below which every asset lies, with a slash at the end. Modules that import each other
// by relative path stay below it.
func (a *Assets) Base() string { return Prefix + a.version + "/" }

// Has reports whether the asset exists, which vendor files do not before npm has run.
func (a *Assets) Has(name string) bool { _, ok := a.files[name]; return ok }

// ServeHTTP answers GET and HEAD below [Prefix].
func (a *Assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, Prefix)
	versioned := false
	if rest, ok := strings.CutPrefix(name, a.version+"/"); ok {
		name, versioned = rest, true
	}
	f, ok := a.files[name]
	if !ok {
		http.Error(w, "no such asset", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("ETag", f.etag)
	h.Set("Cache-Control", "no-cache")
	if versioned {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if r.Header.Get("If-None-Match") == f.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.contentType)
	h.Set("Content-Length", fmt.Sprint(len(f.body)))
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(f.body) // the reader has gone: nobody is left to tell
}
