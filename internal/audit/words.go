package audit

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Bounds of what an entry can be found by.
const (
	maxWord  = 128 // bytes
	maxWords = 64  // of one entry
	minHash  = 32  // digits
)

// Words splits a text into the words that are searched for, in lower case: r-0k3v9d2m1a, ann@example.org and llama-7b are one
// each.
func Words(text string) []string {
	words := strings.FieldsFunc(strings.ToLower(text), func(c rune) bool { return !joined(c) && !within(c) })
	out := words[:0]
	for _, w := range words {
		if w = strings.TrimFunc(w, joined); w != "" && len(w) <= maxWord && !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

func joined(c rune) bool { return strings.ContainsRune("-._@", c) }

func within(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) || unicode.IsMark(c) }

// id is what has no parts that anyone would look for.
var id = regexp.MustCompile(`^(?:[a-z]-[0-9a-v]{10}|[0-9a-f-]{32,}|[0-9.]+)$`)

// Words are what an entry is found by: those of who, what, where and why, of the texts that changed, and of what belongs
// together, such as llama and 7b of llama-7b.
func (e Entry) Words() []string {
	var out []string
	add := func(text string) {
		for _, w := range Words(text) {
			all := []string{w}
			if strings.ContainsFunc(w, joined) && !id.MatchString(w) {
				all = append(all, strings.FieldsFunc(w, joined)...)
			}
			for _, w := range all {
				if len(out) < maxWords && !slices.Contains(out, w) {
					out = append(out, w)
				}
			}
		}
	}
	for _, text := range []string{e.Actor.Name, e.Subject, e.Project, e.Action, e.Actor.Address, e.Request, string(e.Outcome), e.Reason, string(e.Actor.Token)} {
		add(text)
	}
	for _, value := range []json.RawMessage{e.After, e.Before} {
		for _, text := range texts(value) {
			add(text)
		}
	}
	return out
}

// texts are the texts in a value that are worth a search, in the order in which they stand there.
func texts(value json.RawMessage) (out []string) {
	for {
		begin := bytes.IndexByte(value, '"')
		if begin < 0 {
			return out
		}
		end := begin + 1
		for ; end < len(value) && value[end] != '"'; end++ {
			if value[end] == '\\' {
				end++
			}
		}
		if end >= len(value) {
			return out
		}
		quoted, rest := value[begin:end+1], value[end+1:]
		value = rest
		if len(quoted) > maxWord || len(rest) > 0 && rest[0] == ':' {
			continue // too long, or the name of a member
		}
		text := string(quoted[1 : len(quoted)-1])
		if strings.Contains(text, `\`) && json.Unmarshal(quoted, &text) != nil {
			continue
		}
		if len(text) < minHash || !id.MatchString(text) {
			out = append(out, text)
		}
	}
}

// Matches reports whether an entry is what a filter looks for, but for its place in the log.
func (f Filter) Matches(e Entry) bool {
	is := func(want, have string) bool { return want == "" || want == have }
	return (f.AllProjects || e.Project != "" && slices.Contains(f.Projects, e.Project)) &&
		is(f.Actor, e.Actor.Name) && is(f.Action, e.Action) && is(f.Subject, e.Subject) && is(f.Address, e.Actor.Address) && is(string(f.Outcome), string(e.Outcome)) &&
		(f.Since.IsZero() || !e.Logged.Before(f.Since)) && (f.Until.IsZero() || e.Logged.Before(f.Until)) && f.matchesText(e)
}

func (f Filter) matchesText(e Entry) bool {
	if f.Text == "" {
		return true
	}
	have := e.Words()
	for _, w := range Words(f.Text) {
		if !slices.Contains(have, w) {
			return false
		}
	}
	return true
}
