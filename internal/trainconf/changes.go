package trainconf

import (
	"maps"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
)

// Change is one field in which two requests differ. "" is not set.
type Change struct {
	Field  string `json:"field"`
	Label  string `json:"label"`
	Before string `json:"before" doc:"On side a; empty when it is not set"`
	After  string `json:"after" doc:"On side b; empty when it is not set"`
}

// Changes lists the fields in which r differs from another request, in display order, the name first. Values that mean the
// same are no change: a default written out is the default.
func (r Request) Changes(from Request) []Change {
	var out []Change
	for _, d := range Differences([]Request{from, r}) {
		out = append(out, Change{d.Field.Path, d.Field.Label, d.Field.shown(from.Get(d.Field.Path)), d.Field.shown(r.Get(d.Field.Path))})
	}
	return out
}

// Difference is a field in which requests differ.
type Difference struct {
	Field  Field
	Values []string // what counts in each request: what it sets, or else the default; secrets are hidden
}

// Differences lists the fields in which requests differ, as [Request.Changes] does of two.
func Differences(requests []Request) []Difference {
	var out []Difference
	values := make([]string, len(requests))
	for _, f := range append([]Field{nameField}, AllFields()...) {
		differ := false
		for i, r := range requests {
			values[i] = r.Value(f.Path)
			differ = differ || values[i] != values[0]
		}
		if !differ {
			continue
		}
		d := Difference{f, slices.Clone(values)}
		for i, v := range d.Values {
			d.Values[i] = f.shown(v)
		}
		out = append(out, d)
	}
	return out
}

// nearest is the preset that needs the fewest fields set to become r.
func (r Request) nearest() Preset {
	var best Preset
	least := -1
	for _, p := range Presets() {
		if n := len(r.Changes(RequestOfPreset(p))); least < 0 || n < least {
			best, least = p, n
		}
	}
	return best
}

// CommandLine is one shell line that makes the same run: the nearest preset, what differs from it, and the name. Fields of
// CotrainCore are set with --set, those of [PlacementFields] with a flag of their name, in which - stands for _;
// variables and arguments are given with --env and --arg, once for each.
// A project other than the default one is named.
func (r Request) CommandLine(project string) string {
	preset := r.nearest()
	base := RequestOfPreset(preset)
	words := []string{"cotrain", "run", "submit", "--preset", preset.Name}
	for _, c := range r.Changes(base) {
		switch {
		case c.Field == FieldName:
		case c.Field == "env":
			for _, name := range slices.Sorted(maps.Keys(r.Options.Env)) {
				words = append(words, "--env", name+"="+r.Options.Env[name])
			}
		case c.Field == "args":
			for _, a := range r.Options.Args {
				words = append(words, "--arg="+a)
			}
		case c.Field == FieldRetry:
			for item := range strings.SplitSeq(r.Get(FieldRetry), ",") {
				if item != "" {
					words = append(words, "--retry", item)
				}
			}
		case c.Field == run.SecretsField:
			for _, name := range r.Options.Secrets {
				words = append(words, "--secret", name)
			}
		case placementIndex(c.Field) >= 0:
			if (c.Field == "gpu_model" || c.Field == "gpu_min_memory") && r.Shape.GPUs == 0 {
				continue // no GPUs are no demands on them
			}
			words = append(words, flag(strings.ReplaceAll(c.Field, "_", "-"), r.Get(c.Field))...)
		default:
			if f, _ := Lookup(c.Field); !f.Secret {
				words = append(words, "--set", c.Field+"="+r.Get(c.Field))
			}
		}
	}
	if project != "" && project != access.DefaultProject {
		words = append(words, flag("project", project)...)
	}
	if r.Name != "" {
		words = append(words, flag("name", r.Name)...)
	}
	for i, w := range words {
		words[i] = shellQuote(w)
	}
	return strings.Join(words, " ")
}

// flag is a flag with its value. One that begins with - must stand in one word with the flag, or it would be taken for another.
func flag(name, value string) []string {
	if strings.HasPrefix(value, "-") {
		return []string{"--" + name + "=" + value}
	}
	return []string{"--" + name, value}
}

// shellQuote writes a word so that a POSIX shell reads it back as it is. Line breaks, which only a description may hold,
// are kept within the quotes.
func shellQuote(word string) string {
	plain := word != "" && !strings.ContainsFunc(word, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_=./,:+@%", r)
	})
	if plain {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
