package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/run"
)

// pieces is of what names and searches are made: letters in both cases and several scripts, Turkish ones, combining marks,
// what means something to either database, what neither stores, and invalid UTF-8.
var pieces = []string{
	"a", "B", "ab", "ABC", "llama", "7b", "8x7B", "1", "23", "İ", "ı", "I", "ß", "ſ", "K", "é", "e\u0301", "日本", "語", "Ω", "🚀", "ǅ",
	" ", "  ", "\t", "\n", "-", "_", "%", `\`, `'`, `"`, "*", "(", ")", "#", "/", ".", "AND", "NOT", "NEAR", "\x00", "\u00a0", "\xff", "\ufffd",
}

func text(most int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, most).Draw(t, "pieces"), "")
	})
}

// testSearch compares the search with a simple model: what is looked for is in the run, word by word.
func testSearch(t *testing.T, s Store) {
	rapid.Check(t, func(t *rapid.T) {
		var all []run.Run
		for n := range 4 {
			r := newRun(fmt.Sprintf("r-%d%09d", n*n, n), text(6).Draw(t, "name"))
			r.Options.Description = text(4).Draw(t, "description")
			r.Options.Tags = rapid.SliceOfN(text(2), 0, 2).Draw(t, "tags")
			if _, _, err := s.CreateRun(t.Context(), r, ""); err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
			defer func() {
				if err := s.DeleteRun(t.Context(), r.ID); err != nil {
					t.Error(err)
				}
			}()
		}
		look := text(3)
		if rapid.Bool().Draw(t, "of a run") {
			name := []rune(all[rapid.IntRange(0, len(all)-1).Draw(t, "run")].Name)
			from := rapid.IntRange(0, len(name)).Draw(t, "from")
			look = rapid.Just(string(name[from:rapid.IntRange(from, len(name)).Draw(t, "to")]))
		}
		sought := look.Draw(t, "text")
		runs, err := s.Runs(t.Context(), run.RunFilter{Projects: run.AllProjects(), Text: sought, Limit: len(all)})
		if err != nil {
			t.Fatalf("search for %q: %v", sought, err)
		}
		for _, r := range all {
			found := slices.ContainsFunc(runs, func(got run.Run) bool { return got.ID == r.ID })
			if want := has(r, sought); found != want {
				t.Fatalf("search for %q: found %v, want %v: %q, %q, %q", sought, found, want, r.Name, r.Options.Description, r.Options.Tags)
			}
		}
		counts, err := s.CountRuns(t.Context(), run.RunFilter{Projects: run.AllProjects(), Text: sought})
		if want := len(runs); err != nil || counts.Total() != want {
			t.Fatalf("count of %q: %v, %v, want %v", sought, counts, err, want)
		}
	})
}

// has reports whether one of a run's texts has the words and signs looked for, one after the other: the first may be the end
// of a word and the last the beginning of one, except that fewer than three characters alone are the beginning of a word.
func has(r run.Run, sought string) bool {
	look := tokens(sought)
	if len(look) == 0 {
		return true
	}
	for _, text := range append([]string{r.Name, string(r.ID), r.Options.Description}, r.Options.Tags...) {
		words := tokens(text)
		for i := range words {
			if i+len(look) <= len(words) && hasAt(words[i:i+len(look)], look) {
				return true
			}
		}
	}
	return false
}

func hasAt(words, look []string) bool {
	if len(look) == 1 {
		if c := []rune(look[0]); len(c) < 3 || !letter(c[0]) {
			return strings.HasPrefix(words[0], look[0])
		}
		return strings.Contains(words[0], look[0])
	}
	last := len(look) - 1
	within := strings.HasSuffix(words[0], look[0]) && letter([]rune(look[0])[0])
	return (within || words[0] == look[0]) && slices.Equal(words[1:last], look[1:last]) && strings.HasPrefix(words[last], look[last])
}

// tokens are the words of a text in lower case, and every other character by itself.
func tokens(text string) (out []string) {
	word := ""
	end := func() {
		if word != "" {
			out = append(out, word)
			word = ""
		}
	}
	for _, c := range strings.ToLower(strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\x00", "\ufffd")) {
		switch {
		case letter(c) || unicode.IsMark(c):
			word += string(c)
			continue
		case !unicode.IsSpace(c):
			end()
			out = append(out, string(c))
			continue
		}
		end()
	}
	end()
	return out
}

func letter(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }
