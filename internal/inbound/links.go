package inbound

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// localLink finds the attributes that hold links, with the slash that a path of the console begins with. Text and other
// attributes cannot look so: in them quotes are escaped.
var localLink = regexp.MustCompile(`\s(?:href|src|action|formaction|hx-(?:get|post|put|patch|delete|push-url|replace-url)|data-(?:[a-z]+-)*url)="/`)

// Rebase puts base before every link to a path of the console. Pages and fragments are written without, as if the console
// were published at the root.
func Rebase(html []byte, base string) []byte {
	if base == "" {
		return html
	}
	out, from := make([]byte, 0, len(html)+len(html)/8), 0
	for _, at := range localLink.FindAllIndex(html, -1) {
		slash := at[1] - 1
		if at[1] < len(html) && html[at[1]] == '/' { // another host
			continue
		}
		out = append(append(out, html[from:slash]...), base...)
		from = slash
	}
	return append(out, html[from:]...)
}

// linkHeaders are those that send a browser to another page.
var linkHeaders = []string{"Location", "Hx-Redirect", "Hx-Location", "Hx-Push-Url", "Hx-Replace-Url"}

// RebaseHeader does the same for the headers that send a browser to another page.
func RebaseHeader(h http.Header, base string) {
	for _, name := range linkHeaders {
		if to := h.Get(name); strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "//") {
			h.Set(name, base+to)
		}
	}
}

// maxLocalPath is in bytes.
const maxLocalPath = 2000

// LocalPath returns where a browser may be sent because a request says so: a path of the console with its query, or "/" for
// anything that a browser might take for another site. It is the one check for that.
func LocalPath(path string) string {
	if len(path) > maxLocalPath || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsFunc(path, unsafeInPath) {
		return "/"
	}
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || strings.HasPrefix(u.Path, "//") || strings.ContainsFunc(u.Path, unsafeInPath) {
		return "/"
	}
	return path
}

// unsafeInPath are backslashes, which browsers take for slashes, and control characters, which they drop.
func unsafeInPath(r rune) bool { return r == '\\' || r < ' ' || r >= 0x7f && r < 0xa0 || r == '\uFFFD' }
