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

// stall is how long a reader of a file may take nothing before it is given up. A large file takes as long as it takes.
const stall = time.Minute

// Serve answers a request with a file, or the part of it that is asked for, as something to keep and never to show: no
// browser guesses a type for it or runs it. The file is closed. Limits that the connection has for the time of an answer
// are replaced by one for the time without progress.
func Serve(w http.ResponseWriter, r *http.Request, f *File) {
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

// steady gives a reader the time of a stall anew with each piece that it takes.
type steady struct {
	http.ResponseWriter
	control *http.ResponseController
}

// Write is for [http.ServeContent].
func (w *steady) Write(b []byte) (int, error) {
	_ = w.control.SetWriteDeadline(time.Now().Add(stall)) // a connection in memory may not know deadlines
	return w.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (w *steady) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// disposition names the file for whoever keeps it (RFC 6266): once in characters that every program takes, and once in
// full where it is text.
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
