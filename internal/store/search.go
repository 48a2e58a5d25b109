package store

import (
	"context"
	"strings"
	"unicode"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// words returns a text as it is searched: in lower case, two spaces before each word and each other character. So what
// is looked for always has the three characters that an index of trigrams needs: "7b" is looked for as "  7b", where a word
// begins, and "llama-7b" anywhere as "llama  -  7b".
func words(s string) string {
	var b strings.Builder
	within := false // a word
	for _, c := range strings.ToLower(s) {
		letter := unicode.IsLetter(c) || unicode.IsDigit(c) || unicode.IsMark(c)
		if !unicode.IsSpace(c) {
			if !letter || !within {
				b.WriteString("  ")
			}
			b.WriteRune(c)
		}
		within = letter
	}
	return b.String()
}

// Searchable is what the list of runs is searched for, a line for each text, which a search does not cross.
func Searchable(r run.Run) string {
	texts := append([]string{r.Name, string(r.ID), r.Options.Description}, r.Options.Tags...)
	for i, t := range texts {
		texts[i] = words(t)
	}
	return strings.Join(texts, "\n")
}

// maxSought is the most bytes of a text that are looked for: the time grows with it.
const maxSought = 500

// sought is what to look for: "" for nothing.
func sought(text string) string {
	s := words(fault.Cut(text, maxSought))
	const within = 3 // characters are looked for within words, too
	if first := []rune(strings.TrimLeft(s, " ")); len(first) >= within && (unicode.IsLetter(first[0]) || unicode.IsDigit(first[0])) {
		return string(first)
	}
	return s
}

func insertText(ctx context.Context, tx *db.Tx, r run.Run) error {
	n, err := r.ID.Number()
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO run_texts (number, id, text) VALUES (?,?,?)`, n, r.ID, Searchable(r))
	return err
}
