package storage

import (
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// stall is how long a client may make no progress.
const stall = time.Minute

// ServeFile serves a file, or a range of it, as an attachment of no guessable type, and closes it. The connection's
// deadlines give way to one on progress.
func ServeFile(w http.ResponseWriter, r *http.Request, f *File) {
	defer func() { _ = f.Close() }() // only read
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Disposition", disposition(f.Base))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "private, no-cache")
	h.Set("ETag", fmt.Sprintf(`"%x-%x"`, f.Info.ModTime().UnixNano(), f.Info.Size()))
	http.ServeContent(&steady{ResponseWriter: w, control: http.NewResponseController(w)}, r, "", f.Info.ModTime(), f.File)
}

// steady extends the deadline with each write.
type steady struct {
	http.ResponseWriter
	control *http.ResponseController
}

// Write implements io.Writer for [http.ServeContent].
func (w *steady) Write(b []byte) (int, error) {
	_ = w.control.SetWriteDeadline(time.Now().Add(stall)) // a connection in memory may not know deadlines
	return w.ResponseWriter.Write(b)
}

// Unwrap serves [http.ResponseController].
func (w *steady) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// disposition names the attachment (RFC 6266): in ASCII, and in full if it is text.
func disposition(name string) string {
	ascii := strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || strings.ContainsRune(`"\/%:*?<>|;`, r) {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	if strings.Trim(ascii, "._ ") == "" || strings.HasPrefix(ascii, "-") || strings.HasPrefix(ascii, ".") {
		ascii = "file" + ascii
	}
	value := mime.FormatMediaType("attachment", map[string]string{"filename": ascii})
	if ascii != name && !strings.HasPrefix(name, "-") && !strings.HasPrefix(name, ".") && utf8.ValidString(name) && Display(name) == name {
		value += "; filename*=UTF-8''" + strings.NewReplacer("'", "%27", "(", "%28", ")", "%29", "*", "%2A", "+", "%20").Replace(url.QueryEscape(name))
	}
	return value
}
