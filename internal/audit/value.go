package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
)

// Bounds of what an entry has as Before or After, in bytes.
const (
	maxText  = 4 << 10  // one text
	maxValue = 32 << 10 // all of it
	shown    = 200      // what is kept of a text that is longer
)

// Value returns what an entry may have as Before or After of a value: its JSON without secrets, a long text cut and marked with
// its length and hash. nil stays nil.
func Value(v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	text, err := compact(v)
	if err != nil {
		return nil, fmt.Errorf("encode for the audit log: %w", err)
	}
	if string(text) == "null" {
		return nil, nil
	}
	if plain(string(text)) {
		return text, nil
	}
	var tree any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&tree); err != nil {
		return nil, fmt.Errorf("encode for the audit log: %w", err)
	}
	out, err := compact(masked("", tree))
	if err != nil || len(out) <= maxValue {
		return out, err
	}
	return compact(cut(string(out)))
}

// plain reports whether a value surely has nothing to hide and nothing to cut: taking it apart would cost more than the entry.
func plain(text string) bool {
	return len(text) <= maxText && !strings.Contains(text, `\`) && !suspect.In(text)
}

// suspect is what a value with something to hide contains: the name of a secret, or a mark of one. All at once takes half the time.
var suspect = fault.NewWords(slices.Concat(fault.SecretWords(), marks)...)

func compact(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// masked hides the secrets of a value that has a name.
func masked(name string, v any) any {
	secret := fault.NamesSecret(name)
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = masked(key, value)
		}
	case []any:
		before := "" // an argument that may name the next one
		for i, value := range v {
			text, isText := value.(string)
			v[i] = masked(name, value)
			if isText && before != "" && !strings.HasPrefix(text, "-") {
				v[i] = fault.Hidden
			}
			before = ""
			if isText && strings.HasPrefix(text, "-") && !strings.Contains(text, "=") && fault.NamesSecret(text) {
				before = text
			}
		}
	case string:
		if v == "" {
			return v
		}
		if secret {
			return fault.Hidden
		}
		return maskedText(v)
	case json.Number:
		if secret {
			return fault.Hidden
		}
	}
	return v
}

// privateStarts are how the tokens of well-known services and of the console itself begin.
var privateStarts = []string{"ctk_", "ghp_", "gho_", "github_pat_", "glpat-", "hf_", "sk-", "xoxa-", "xoxb-", "xoxp-", "hvs.", "akia", "eyj"}

// privateParts are the secrets that a text may hold: passwords in addresses, what follows Bearer, and tokens.
var privateParts = regexp.MustCompile(`(?i)://[^/@\s]+@|\b(?:bearer|basic)\s+\S{8,}|\b(?:` + strings.ReplaceAll(strings.Join(privateStarts, "|"), ".", `\.`) + `)[\w.-]{10,}`)

// privateMarks are in every text with a match of privateParts, and in few others: to look for them takes a fiftieth of the time.
var privateMarks = fault.NewWords(marks...)

var marks = append([]string{"://", "bearer", "basic"}, privateStarts...)

// maskedText hides the secrets in a text.
func maskedText(s string) string {
	if name, _, found := strings.Cut(s, "="); found && fault.NamesSecret(name) && !strings.ContainsAny(name, " \n") {
		return name + "=" + fault.Hidden
	}
	if privateMarks.In(s) {
		s = privateParts.ReplaceAllStringFunc(s, func(part string) string {
			if strings.HasPrefix(part, "://") {
				return "://" + fault.Hidden + "@"
			}
			return fault.Hidden
		})
	}
	if len(s) > maxText {
		return cut(s)
	}
	return s
}

func cut(s string) string {
	return fmt.Sprintf("%s… (%d bytes, sha256 %x)", fault.Cut(s, shown), len(s), sha256.Sum256([]byte(s)))
}
