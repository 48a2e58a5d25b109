package compare

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/compare"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	view "github.com/cotrain/cotrain/views/compare"
	"github.com/cotrain/cotrain/views/ui"
)

// What groups runs beside the paths of settings.
const (
	bySettings = "settings" // the same ones, with any seed
	byTag      = "tag"
	bySweep    = "sweep"
)

// label is a run's group, and the text that names it.
type label struct{ key, text string }

// labels are the groups of runs, nil for none.
func labels(by string, runs []run.Run, requests []trainconf.Request) []label {
	if by == "" {
		return nil
	}
	out := make([]label, len(runs))
	var of func(i int) string
	switch by {
	case bySettings:
		of = sameSettings(requests)
	case byTag:
		of = func(i int) string { return strings.Join(runs[i].Options.Tags, ", ") }
	case bySweep:
		of = func(i int) string { return string(runs[i].Origin.Sweep) }
	default:
		f, ok := trainconf.Lookup(by)
		if !ok || f.Secret {
			return nil
		}
		of = func(i int) string { return requests[i].Value(by) }
	}
	for i := range out {
		text := of(i)
		sum := sha256.Sum256([]byte(text))
		out[i] = label{"g-" + hex.EncodeToString(sum[:4]), text}
		if text == "" {
			out[i].text = "none"
		}
	}
	return out
}

// aside are settings that say nothing about how a run trains.
var aside = []string{trainconf.FieldName, "description", "tags"}

// sameSettings names a run by the settings in which any two differ, but for what is a seed.
func sameSettings(requests []trainconf.Request) func(int) string {
	seedless := make([]trainconf.Request, len(requests))
	for i, r := range requests {
		seedless[i] = withoutSeeds(r)
	}
	var parts []trainconf.Difference
	for _, d := range trainconf.Differences(seedless) {
		if !slices.Contains(aside, d.Field.Path) {
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

// groupChoices are what the runs can be grouped by.
func groupChoices(differences []trainconf.Difference, runs []run.Run, now string) []ui.Choice {
	out := []ui.Choice{{Value: "", Label: "Each run"}, {Value: bySettings, Label: "Same settings, any seed"}}
	if slices.ContainsFunc(runs, func(r run.Run) bool { return len(r.Options.Tags) > 0 }) {
		out = append(out, ui.Choice{Value: byTag, Label: "Tags"})
	}
	if slices.ContainsFunc(runs, func(r run.Run) bool { return r.Origin.Sweep != "" }) {
		out = append(out, ui.Choice{Value: bySweep, Label: "Sweep"})
	}
	for _, d := range differences {
		if !slices.Contains(aside, d.Field.Path) && !d.Field.Secret {
			out = append(out, ui.Choice{Value: d.Field.Path, Label: d.Field.Label})
		}
	}
	if !slices.ContainsFunc(out, func(c ui.Choice) bool { return c.Value == now }) {
		out = append(out, ui.Choice{Value: now, Label: now})
	}
	return out
}

// groupsOf collects the runs of each group, in the order of their first.
func groupsOf(rows []view.Row, metrics int) []view.Group {
	var out []view.Group
	at := map[string]int{}
	for _, r := range rows {
		i, ok := at[r.Key]
		if !ok {
			i = len(out)
			at[r.Key] = i
			out = append(out, view.Group{Key: r.Key, Label: r.Group, Slot: r.Slot, Finals: make([]view.Spread, metrics)})
		}
		out[i].Runs++
		for m, v := range r.Values.Metrics {
			add(&out[i].Finals[m], v)
		}
	}
	return out
}

func add(s *view.Spread, v compare.Value) {
	if math.IsNaN(v.Final) || math.IsInf(v.Final, 0) {
		return
	}
	if s.N++; s.N == 1 {
		s.Low, s.High = v.Final, v.Final
	}
	s.Mean += (v.Final - s.Mean) / float64(s.N)
	s.Low, s.High = min(s.Low, v.Final), max(s.High, v.Final)
}
