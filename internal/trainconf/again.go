package trainconf

import (
	"maps"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
)

// RunPlaceholder stands for the run's ID in the folders that a run writes into, in its arguments and in the values of its
// environment: it is filled in when the run is made, so that two runs never write into one folder.
const RunPlaceholder = "{run}"

// AsAsked is a run as it was asked for: where its ID was filled in, the placeholder stands again, so that another run of
// the same does not write into its folders.
func AsAsked(r run.Run) run.Run {
	r.Shape, r.Options = r.Shape.Unassigned(), r.Options.Unassigned() // what its project set, and may set otherwise by now
	id := string(r.ID)
	if id == "" {
		return r
	}
	back := func(text string) string { return strings.ReplaceAll(text, id, RunPlaceholder) }
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
