package compare

import (
	"cmp"
	"math"
	"slices"

	"github.com/cotrain/cotrain/internal/compare"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	view "github.com/cotrain/cotrain/views/compare"
)

const (
	leastRuns = 3 // of two there is nothing to tell
	maxAxes   = 8 // of settings; more are not read
)

// FieldsOf are the settings to analyse: those that a sweep varied, or else all that differ and say how a run trains.
func FieldsOf(differences []trainconf.Difference, only []string) (out []compare.Field) {
	for _, d := range differences {
		if len(only) > 0 && !slices.Contains(only, d.Field.Path) || d.Field.Secret || compare.Aside(d.Field.Path) || d.Field.Path == "ckpt.path" {
			continue
		}
		out = append(out, compare.Field{Name: d.Field.Path, Label: d.Field.Label, Values: d.Values})
	}
	return out
}

// Analyse tells how one of the metrics of runs depends on settings; nil where there is nothing to tell. Runs that failed or have no
// finite value are left out.
func Analyse(rows []view.Row, fields []compare.Field, metric string, index int) *view.Analysis {
	a := &view.Analysis{Metric: metric}
	values := make([]float64, len(rows))
	for i, r := range rows {
		values[i] = r.Values.Metrics[index].Final
		switch finite := !math.IsNaN(values[i]) && !math.IsInf(values[i], 0); {
		case r.Run.State == run.Failed:
			a.Failed++
			values[i] = math.NaN()
		case !finite:
			a.Absent++
			values[i] = math.NaN()
		}
	}
	a.Importances, a.Runs = compare.Importances(fields, values)
	if a.Runs < leastRuns || len(a.Importances) == 0 {
		return nil
	}
	a.Left = max(0, len(a.Importances)-maxAxes)
	for _, one := range a.Importances[:len(a.Importances)-a.Left] {
		a.Axes = append(a.Axes, compare.NewAxis(one.Field))
	}
	var known []float64
	for i, v := range values {
		if math.IsNaN(v) {
			continue
		}
		a.Lines = append(a.Lines, view.Parallel{Run: rows[i].Run.ID, Name: rows[i].Run.Name, Key: rows[i].Key, Value: v, Index: len(known)})
		known = append(known, v)
	}
	a.Axes = append(a.Axes, compare.MetricAxis(metric, known))
	for i, shade := range shadesOf(known, compare.DirectionOf(metric)) {
		a.Lines[i].Shade = shade
	}
	return a
}

// shadesOf gives each value a shade by its rank: 0 for the best eighth or, where none is better, the lowest; 7 where there is none.
func shadesOf(values []float64, better compare.Direction) []int {
	order := make([]int, 0, len(values))
	out := make([]int, len(values))
	for i, v := range values {
		if out[i] = view.Shades - 1; !math.IsNaN(v) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		c := cmp.Compare(values[a], values[b])
		if better == compare.Higher {
			return -c
		}
		return c
	})
	for rank, i := range order {
		out[i] = rank * view.Shades / len(order)
	}
	return out
}
