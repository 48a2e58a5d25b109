package storage

import (
	"net/url"
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/fault"
)

// maxPath is PATH_MAX of Linux.
const maxPath = 4096

// root is [os.Root]'s name for the storage's folder; callers use "".
const root = "."

// clean checks an outside path: names below the root between single slashes, in bytes that need not be UTF-8. "" and "."
// are the root; a final slash is allowed. [os.Root] also refuses to leave, but this gives each path one spelling.
func clean(p string) (string, error) {
	p = strings.TrimSuffix(p, "/")
	if p == "" || p == root {
		return root, nil
	}
	if len(p) > maxPath {
		return "", badPath(fault.Clip(p, 67), "is longer than 4096 bytes", "check the path")
	}
	if strings.ContainsRune(p, 0) {
		return "", badPath(p, "holds a zero byte", "remove it")
	}
	if p[0] == '/' {
		return "", badPath(p, "must be below shared storage, without a slash at its beginning", `use a path such as "datasets/raw"`)
	}
	for name := range strings.SplitSeq(p, "/") {
		switch name {
		case "":
			return "", badPath(p, "has an empty name between two slashes", "write one slash")
		case ".", "..":
			return "", badPath(p, `must not hold "." or ".." as a name`, "name the folder itself")
		}
	}
	return p, nil
}

func join(dir, name string) string {
	if dir == root {
		return name
	}
	return dir + "/" + name
}

// outside is a clean path as callers know it: the root is "".
func outside(p string) string {
	if p == root {
		return ""
	}
	return p
}

// Parent is the folder that a path is in, "" for the root.
func Parent(p string) string { return outside(path.Dir(strings.TrimSuffix(p, "/"))) }

// Display writes a name as one visible line: control characters, direction marks, line separators and invalid UTF-8
// become Go escapes, so it need not lead back to the name.
func Display(name string) string {
	if !strings.ContainsFunc(name, hidden) {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); {
		r, n := utf8.DecodeRuneInString(name[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x` + strconv.FormatUint(uint64(name[i])|0x100, 16)[1:])
		case hidden(r):
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// hidden reports whether a character is invisible or misleading. Joiners stay: scripts and emoji need them.
func hidden(r rune) bool {
	if r == '\u200c' || r == '\u200d' {
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) || r == utf8.RuneError
}

// Escape percent-encodes a path's names so that every byte survives an address or JSON.
func Escape(p string) string {
	names := strings.Split(p, "/")
	for i, name := range names {
		names[i] = url.PathEscape(name)
	}
	return strings.Join(names, "/")
}
