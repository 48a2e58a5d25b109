package auth

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTokensHaveOneForm(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^ctk_[a-z2-7]{12}_[A-Za-z0-9_-]{43}$`)
	_, token := newToken()
	if !isTokenForm(token) || !form.MatchString(token) {
		t.Errorf("%q has not the form of a token", token)
	}
	rapid.Check(t, func(t *rapid.T) {
		_, changed := newToken()
		at := rapid.IntRange(0, len(changed)).Draw(t, "at")
		cut := min(len(changed), at+rapid.IntRange(0, 3).Draw(t, "cut"))
		changed = changed[:at] + rapid.StringOfN(rapid.SampledFrom([]rune("aZ019_-+/=\né\x00")), 0, 3, -1).Draw(t, "put") + changed[cut:]
		if got, want := isTokenForm(changed), form.MatchString(changed); got != want {
			t.Fatalf("%q: %v, want %v", changed, got, want)
		}
	})
}

func TestIDsOfRequestsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		id := newRequestID()
		if seen[id] || len(id) != 16 || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567") != "" {
			t.Fatalf("%q", id)
		}
		seen[id] = true
	}
}
