package trainconf

import (
	"maps"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
)

// runPlaceholder stands for the run's ID in folders, arguments and variables until the run is made; control fills it in.
const runPlaceholder = "{run}"

// AsAsked is a run as it was asked for: where its ID was filled in, the placeholder stands again, so that another run of
// the same does not write into its folders.
func AsAsked(r run.Run) run.Run {
	id := string(r.ID)
	if id == "" {
		return r
	}
	back := func(text string) string { return strings.ReplaceAll(text, id, runPlaceholder) }
	r.Config = back(r.Config)
	r.Options.Env, r.Options.Args = maps.Clone(r.Options.Env), slices.Clone(r.Options.Args)
	for name, value := range r.Options.Env {
		r.Options.Env[name] = back(value)
	}
	for i, arg := range r.Options.Args {
		r.Options.Args[i] = back(arg)
	}
	return r
}
