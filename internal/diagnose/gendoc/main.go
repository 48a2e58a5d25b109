// Gendoc writes the categories and rules of diagnosis into a document, docs/troubleshooting.md, between two marks.
package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/cotrain/cotrain/internal/diagnose"
)

// The marks are whole lines.
const (
	begin = "<!-- causes: written by make generate from internal/diagnose -->\n"
	end   = "<!-- end of causes -->\n"
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
		return fmt.Errorf("%s has no place for the causes", path)
	}
	rules, err := diagnose.Builtin()
	if err != nil {
		return err
	}
	out := string(before) + begin + rules.Reference() + end + string(after)
	if out == string(text) {
		return nil
	}
	return os.WriteFile(path, []byte(out), 0o644) // #nosec G306 -- a document
}
