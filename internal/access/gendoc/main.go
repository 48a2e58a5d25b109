// Gendoc writes the table of rights into a document, docs/security.md, between two marks.
package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/cotrain/cotrain/internal/access"
)

// The marks are whole lines.
const (
	begin = "<!-- rights: written by make generate from internal/access -->\n"
	end   = "<!-- end of rights -->\n"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gendoc DOCUMENT")
		os.Exit(2)
	}
	if err := update(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gendoc:", err)
		os.Exit(1)
	}
}

func update(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := bytes.Cut(text, []byte(begin))
	_, after, closed := bytes.Cut(rest, []byte(end))
	if !found || !closed {
		return fmt.Errorf("%s has no place for the table of rights", path)
	}
	out := string(before) + begin + table() + end + string(after)
	if out == string(text) {
		return nil
	}
	return os.WriteFile(path, []byte(out), 0o644) // #nosec G306 -- a document
}

// table has a column for each role and one for administrators of the console.
func table() string {
	var b strings.Builder
	b.WriteString("\n| right | what it allows | where |")
	for _, role := range access.Roles() {
		fmt.Fprintf(&b, " %s |", role)
	}
	b.WriteString(" administrator |\n| --- | --- | --- |" + strings.Repeat(" --- |", len(access.Roles())+1) + "\n")
	for _, rule := range access.Rights() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |", rule.Right, rule.Does, where(rule))
		for _, role := range access.Roles() {
			fmt.Fprintf(&b, " %s |", mark(rule.Place == access.Nowhere || rule.Place != access.Everywhere && role.Includes(rule.Role)))
		}
		fmt.Fprintf(&b, " %s |\n", mark(true))
	}
	b.WriteString("\n")
	return b.String()
}

func where(rule access.Rule) string {
	switch {
	case rule.Right == access.Public:
		return "without signing in"
	case rule.Place == access.Nowhere:
		return "signed in"
	case rule.Place == access.InProject:
		return "in the project"
	case rule.Place == access.AnyProject:
		return "with the role in any project"
	}
	return "everywhere"
}

func mark(has bool) string {
	if has {
		return "yes"
	}
	return ""
}
