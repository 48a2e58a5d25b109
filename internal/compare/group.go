package compare

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// What groups runs beside the paths of settings.
const (
	BySettings = "settings" // the same ones, with any seed
	ByTag      = "tag"
	BySweep    = "sweep"
)

// Group is what a run is grouped with.
type Group struct {
	Key  string // the same of all its runs
	Text string // that names it
}

// Groups reports whether runs can be grouped by something.
func Groups(by string) bool {
	if by == BySettings || by == ByTag || by == BySweep {
		return true
	}
	f, ok := trainconf.Lookup(by)
	return ok && !f.Secret
}

// GroupBy are the groups of runs, nil where nothing groups them so.
func GroupBy(by string, runs []run.Run, requests []trainconf.Request) []Group {
	if !Groups(by) {
		return nil
	}
	out := make([]Group, len(runs))
	var of func(i int) string
	switch by {
	case BySettings:
		of = sameSettings(requests)
	case ByTag:
		of = func(i int) string { return strings.Join(runs[i].Options.Tags, ", ") }
	case BySweep:
		of = func(i int) string { return string(runs[i].Origin.Sweep) }
	default:
		of = func(i int) string { return requests[i].Value(by) }
	}
	for i := range out {
		text := of(i)
		sum := sha256.Sum256([]byte(text))
		out[i] = Group{"g-" + hex.EncodeToString(sum[:4]), text}
		if text == "" {
			out[i].Text = "none"
		}
	}
	return out
}

// Aside reports whether a setting says nothing about how a run trains.
func Aside(path string) bool {
	return path == trainconf.FieldName || path == "description" || path == "tags"
}

// sameSettings names a run by the settings in which any two differ, but for what is a seed.
func sameSettings(requests []trainconf.Request) func(int) string {
	seedless := make([]trainconf.Request, len(requests))
	for i, r := range requests {
		seedless[i] = withoutSeeds(r)
	}
	var parts []trainconf.Difference
	for _, d := range trainconf.Differences(seedless) {
		if !Aside(d.Field.Path) {
			parts = append(parts, d)
		}
	}
	return func(i int) string {
		var out []string
		for _, d := range parts {
			value := d.Values[i]
			if value == "" {
				value = "not set"
			}
			out = append(out, d.Field.Path[strings.LastIndexByte(d.Field.Path, '.')+1:]+" "+strings.ReplaceAll(value, "\n", " "))
		}
		if len(out) == 0 {
			return "all the same"
		}
		return strings.Join(out, ", ")
	}
}

// withoutSeeds leaves out the variables and arguments that are named for a seed.
func withoutSeeds(r trainconf.Request) trainconf.Request {
	seed := func(name string) bool { return strings.Contains(strings.ToLower(name), "seed") }
	env := map[string]string{}
	for name, value := range r.Options.Env {
		if !seed(name) {
			env[name] = value
		}
	}
	r.Options.Env = env
	var args []string
	for i := 0; i < len(r.Options.Args); i++ {
		a := r.Options.Args[i]
		if !strings.HasPrefix(a, "--") || !seed(a) {
			args = append(args, a)
			continue
		}
		if !strings.Contains(a, "=") && i+1 < len(r.Options.Args) && !strings.HasPrefix(r.Options.Args[i+1], "-") {
			i++ // its value
		}
	}
	r.Options.Args = args
	return r
}

// Spread is the finite values of a group's runs.
type Spread struct {
	N               int // runs that have one
	Mean, Low, High float64
}

// Add adds a value, unless it is not finite.
func (s *Spread) Add(v float64) {
	if !finite(v) {
		return
	}
	if s.N++; s.N == 1 {
		s.Low, s.High = v, v
	}
	s.Mean += (v - s.Mean) / float64(s.N)
	s.Low, s.High = min(s.Low, v), max(s.High, v)
}

// Requests are what runs were asked with, as far as it can be read.
func Requests(runs []run.Run) []trainconf.Request {
	out := make([]trainconf.Request, len(runs))
	for i, r := range runs {
		out[i], _ = trainconf.RequestOfRun(r)
	}
	return out
}
