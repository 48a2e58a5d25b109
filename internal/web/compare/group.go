package compare

import (
	"slices"

	"github.com/cotrain/cotrain/internal/compare"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	view "github.com/cotrain/cotrain/views/compare"
	"github.com/cotrain/cotrain/views/ui"
)

// groupChoices are what the runs can be grouped by.
func groupChoices(differences []trainconf.Difference, runs []run.Run, now string) []ui.Choice {
	out := []ui.Choice{{Value: "", Label: "Each run"}, {Value: compare.BySettings, Label: "Same settings, any seed"}}
	if slices.ContainsFunc(runs, func(r run.Run) bool { return len(r.Options.Tags) > 0 }) {
		out = append(out, ui.Choice{Value: compare.ByTag, Label: "Tags"})
	}
	if slices.ContainsFunc(runs, func(r run.Run) bool { return r.Origin.Sweep != "" }) {
		out = append(out, ui.Choice{Value: compare.BySweep, Label: "Sweep"})
	}
	for _, d := range differences {
		if !compare.Aside(d.Field.Path) && !d.Field.Secret {
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
			out = append(out, view.Group{Key: r.Key, Label: r.Group, Slot: r.Slot, Finals: make([]compare.Spread, metrics)})
		}
		out[i].Runs++
		for m, v := range r.Values.Metrics {
			out[i].Finals[m].Add(v.Final)
		}
	}
	return out
}
