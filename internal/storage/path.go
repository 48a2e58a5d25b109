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

// maxPath is the longest path in bytes that is looked at: PATH_MAX of Linux.
const maxPath = 4096

// root is the path of the storage's own folder, as [os.Root] has it; callers write "".
const root = "."

// clean checks a path that came from outside: names below the root, separated by single slashes, in bytes and not
// necessarily UTF-8. "" and "." are the root; one slash at the end is allowed. [os.Root] would refuse what leads out of
// the root too: this says so before anything is opened, and keeps one spelling for each path.
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

// join is dir/name for a clean dir.
func join(dir, name string) string {
	if dir == root {
		return name
	}
	return dir + "/" + name
}

// outside writes a clean path as callers know it: the root is "".
func outside(p string) string {
	if p == root {
		return ""
	}
	return p
}

// Parent is the folder that a path is in, "" for the root.
func Parent(p string) string { return outside(path.Dir(strings.TrimSuffix(p, "/"))) }

// Display writes a name or path so that it is one line, shows what it holds, and changes nothing around it: control
// characters, what turns the direction of text, separators of lines and bytes that are not UTF-8 become escapes as Go
// writes them. A name that needs none is returned as it is, so the result does not always lead back to the name.
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

// hidden reports whether a character shows as nothing, or as something else than itself. Joiners stay: scripts and
// emoji are made with them.
func hidden(r rune) bool {
	if r == '\u200c' || r == '\u200d' {
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) || r == utf8.RuneError
}

// Escape writes a path for an address or for JSON: each name percent-encoded, so that every byte comes back. Paths of
// letters, digits and "-._~/" stay as they are.
func Escape(p string) string {
	names := strings.Split(p, "/")
	for i, name := range names {
		names[i] = url.PathEscape(name)
	}
	return strings.Join(names, "/")
}
