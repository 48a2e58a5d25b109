package vault

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/fault"
)

// Prefix begins a reference.
const Prefix = "vault:"

// maxRef bounds a reference, in bytes.
const maxRef = 1024

// Ref is where a value is: vault:<mount>/<path>#<field>, such as vault:secret/cotrain#nomad_token. A path in a KV store of
// version 2 is without its data/.
type Ref struct {
	Path  string // with the mount, as in "secret/cotrain"
	Field string
}

func (r Ref) String() string { return Prefix + r.Path + "#" + r.Field }

// IsRef reports whether a setting's text is meant as a reference.
func IsRef(text string) bool { return strings.HasPrefix(strings.TrimSpace(text), Prefix) }

// ParseRef reads a reference. The error says what is wrong with it, and is [fault.ErrInvalid].
func ParseRef(text string) (Ref, error) {
	bad := func(why string) (Ref, error) {
		return Ref{}, fault.New(fault.ErrInvalid, "The reference cannot be read: "+why+".", "Write it as vault:MOUNT/PATH#FIELD, such as vault:secret/cotrain#nomad_token.")
	}
	text = strings.TrimSpace(text)
	rest, ok := strings.CutPrefix(text, Prefix)
	path, field, hasField := strings.Cut(rest, "#")
	switch {
	case !ok:
		return bad("it does not begin with " + Prefix)
	case len(text) > maxRef || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return bad(fmt.Sprintf("it is not one line of at most %d bytes", maxRef))
	case !hasField || field == "":
		return bad("it has no #field at its end")
	case strings.ContainsAny(path, "?"):
		return bad("its path has a ?")
	}
	parts := strings.Split(path, "/")
	if len(parts) < 2 {
		return bad("it names no path below a mount")
	}
	for _, part := range parts {
		if strings.TrimSpace(part) == "" || part == "." || part == ".." {
			return bad("its path has an empty part, or one that is . or ..")
		}
	}
	return Ref{path, field}, nil
}
