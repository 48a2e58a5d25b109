package fault

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWordsAreFoundAsInTheTextInLowerCase(t *testing.T) {
	t.Parallel()
	list := []string{"token", "to", "api_key", "://", "x"}
	words := NewWords(list...)
	part := rapid.OneOf(rapid.SampledFrom([]string{"tok", "en", "TO", "Api_", "KEY", "api_\u212aey", ":/", "/", "X", "é"}), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(part).Draw(t, "parts"), "")
		want := false
		for _, word := range list {
			want = want || strings.Contains(strings.ToLower(text), word)
		}
		if got := words.In(text); got != want {
			t.Fatalf("%q: %v, want %v", text, got, want)
		}
	})
}
