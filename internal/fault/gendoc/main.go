// Gendoc writes the catalogue of errors into a document, docs/troubleshooting.md, between two marks, after it has checked that the
// program has no error without an entry.
package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
)

// The marks are whole lines.
const (
	begin = "<!-- errors: written by make generate from internal/fault -->\n"
	end   = "<!-- end of errors -->\n"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: gendoc ROOT DOCUMENT")
		os.Exit(2)
	}
	if err := update(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "gendoc:", err)
		os.Exit(1)
	}
}

func update(root, path string) error {
	problems, err := check(root)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return fmt.Errorf("errors without an entry in the catalogue, internal/fault/table.go:\n  %s", strings.Join(problems, "\n  "))
	}
	text, err := os.ReadFile(path) // #nosec G304 -- named by make
	if err != nil {
		return err
	}
	before, rest, found := bytes.Cut(text, []byte(begin))
	_, after, closed := bytes.Cut(rest, []byte(end))
	if !found || !closed {
		return fmt.Errorf("%s has no place for the errors", path)
	}
	out := string(before) + begin + catalogue() + end + string(after)
	if out == string(text) {
		return nil
	}
	return os.WriteFile(path, []byte(out), 0o644) // #nosec G306 G703 -- a document, named by make
}

// catalogue has a section for each kind.
func catalogue() string {
	var b strings.Builder
	b.WriteString("\n### Codes\n")
	for _, k := range fault.Kinds() {
		e := k.Entry()
		again := "does not help by itself"
		if e.Temporary {
			again = "may help"
		}
		fmt.Fprintf(&b, "\n#### Error %s\n\n**%s.** %s\n\n- Why: %s\n- What to do: %s\n- HTTP status %d, exit code %d; trying again %s.\n", string(e.Code), e.Title, e.What, e.Why, e.Fix, e.Status, e.Exit, again)
	}
	b.WriteString("\n")
	return b.String()
}
