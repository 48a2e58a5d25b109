package api

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/compare"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// namedMetrics is how many metrics an error names that there are.
const namedMetrics = 10

func (s *server) compare(ctx context.Context, in *client.CompareQuery) (out client.Comparison, err error) {
	runs, more, err := s.compared(ctx, in)
	if err != nil {
		return out, err
	}
	out.LeftOut = more
	for _, m := range in.Metric {
		if !slices.Contains(out.Metrics, m) {
			out.Metrics = append(out.Metrics, m)
		}
	}
	if len(out.Metrics) == 0 {
		out.Metrics = []string{"loss"}
	}
	base, err := baseOf(runs, in.Base)
	if err != nil {
		return out, err
	}
	var at *int64
	if in.At >= 0 {
		at = &in.At
	}
	values, names, err := compare.Read(ctx, s.Details, runs, out.Metrics, at)
	if err != nil {
		return out, err
	}
	out.Names = notNil(names)
	if bad := unknownMetrics(in.Metric, names); bad != nil {
		return out, invalid("query", bad...)
	}
	for i, r := range runs {
		one := comparedRun(r, values[i], out.Metrics)
		if base >= 0 && i != base {
			one.differ(values[i], values[base], out.Metrics)
		}
		out.Runs = append(out.Runs, one.ComparedRun)
	}
	if base >= 0 {
		out.Base = runs[base].ID
	}
	requests := compare.Requests(runs)
	out.Differences = []client.ConfigDifference{}
	for _, d := range trainconf.Differences(requests) {
		if d.Field.Path != trainconf.FieldName {
			out.Differences = append(out.Differences, client.ConfigDifference{Field: d.Field.Path, Label: d.Field.Label, Values: d.Values})
		}
	}
	if in.Group == "" {
		return out, nil
	}
	groups := compare.GroupBy(in.Group, runs, requests)
	if groups == nil {
		return out, invalid("query", run.FieldError{Field: "group", Value: in.Group, Rule: "is nothing that groups runs", Fix: "use settings, tag, sweep, or the path of a setting such as optim.optim.lr"})
	}
	out.Groups = groupsOf(runs, groups, values, out.Metrics)
	return out, nil
}

// compared are the runs of a query, and whether there are more.
func (s *server) compared(ctx context.Context, in *client.CompareQuery) (runs []run.Run, more bool, err error) {
	switch {
	case len(in.Run) > 0 && in.Sweep != "":
		return nil, false, invalid("query", run.FieldError{Field: "sweep", Value: in.Sweep, Rule: "does not go together with run", Fix: "remove one of them"})
	case in.Sweep != "":
		sweep, err := s.findSweep(ctx, in.Sweep)
		if err != nil {
			return nil, false, err
		}
		runs, err = s.Runs.Runs(ctx, run.RunFilter{Projects: run.AllProjects(), Sweep: sweep.ID, Limit: compare.MaxRuns + 1})
		if more = len(runs) > compare.MaxRuns; more {
			runs = runs[:compare.MaxRuns]
		}
		slices.Reverse(runs) // in the order of the sweep's points
		return runs, more, err
	case len(in.Run) == 0:
		return nil, false, invalid("query", run.FieldError{Field: "run", Rule: "is missing", Fix: "name 1 to 200 runs, or a sweep"})
	}
	known := map[run.ID]bool{}
	for _, name := range in.Run {
		r, err := s.find(ctx, name)
		if err != nil {
			return nil, false, err
		}
		if !known[r.ID] {
			runs = append(runs, r)
		}
		known[r.ID] = true
	}
	return runs, false, nil
}

// baseOf is the index of the baseline, -1 for none.
func baseOf(runs []run.Run, base string) (int, error) {
	i := slices.IndexFunc(runs, func(r run.Run) bool { return string(r.ID) == base })
	if i < 0 && base != "" {
		return i, invalid("query", run.FieldError{Field: "base", Value: base, Rule: "is not among the runs", Fix: "name one of them"})
	}
	return i, nil
}

// unknownMetrics is what is wrong with metrics that none of the runs has, unless none has reported any.
func unknownMetrics(asked, names []string) (bad run.FieldErrors) {
	for _, m := range asked {
		if len(names) > 0 && !slices.Contains(names, m) {
			fix := "use one of " + strings.Join(names[:min(len(names), namedMetrics)], ", ")
			if rest := len(names) - namedMetrics; rest > 0 {
				fix += fmt.Sprintf(" and %d more", rest)
			}
			bad = append(bad, run.FieldError{Field: "metric", Value: fault.Quote(m), Rule: "is reported by none of the runs", Fix: fix})
		}
	}
	return bad
}

// compared is a run of a comparison that is being made.
type compared struct{ client.ComparedRun }

func comparedRun(r run.Run, v compare.Values, metrics []string) compared {
	out := compared{client.ComparedRun{ID: r.ID, Name: r.Name, State: r.State, Step: r.Progress.Step, Values: map[string]client.ComparedMetric{}}}
	if !math.IsNaN(v.Tokens) {
		tokens := run.Number(v.Tokens)
		out.Tokens = &tokens
	}
	for i, m := range metrics {
		if !v.Known(i) {
			continue
		}
		value := v.Metrics[i]
		out.Values[m] = client.ComparedMetric{
			Final: &client.Reached{Value: run.Number(value.Final), Step: value.FinalStep}, Best: reached(value.Best, value.BestStep), At: reached(value.At, value.AtStep),
		}
	}
	return out
}

// reached is nil for a value that is not known.
func reached(v float64, step int64) *client.Reached {
	if math.IsNaN(v) {
		return nil
	}
	return &client.Reached{Value: run.Number(v), Step: step}
}

// differ adds the differences to the baseline.
func (c compared) differ(v, base compare.Values, metrics []string) {
	for i, m := range metrics {
		one, ok := c.Values[m]
		if !ok {
			continue
		}
		of, to := v.Metrics[i], base.Metrics[i]
		for _, pair := range []struct {
			reached  *client.Reached
			of, base float64
		}{{one.Final, of.Final, to.Final}, {one.Best, of.Best, to.Best}, {one.At, of.At, to.At}} {
			d, ok := compare.DeltaOf(pair.of, pair.base)
			if pair.reached == nil || !ok {
				continue
			}
			difference, percent := run.Number(d.Absolute), run.Number(d.Percent)
			if pair.reached.Difference = &difference; !math.IsNaN(d.Percent) {
				pair.reached.Percent = &percent
			}
			if judged := compare.DirectionOf(m).Judge(pair.of, pair.base); judged != 0 {
				better := judged > 0
				pair.reached.Better = &better
			}
		}
	}
}

func groupsOf(runs []run.Run, groups []compare.Group, values []compare.Values, metrics []string) (out []client.ComparedGroup) {
	at := map[string]int{}
	var spreads [][]compare.Spread
	for i, r := range runs {
		n, ok := at[groups[i].Key]
		if !ok {
			n = len(out)
			at[groups[i].Key] = n
			out = append(out, client.ComparedGroup{Label: groups[i].Text, Final: map[string]client.GroupSpread{}})
			spreads = append(spreads, make([]compare.Spread, len(metrics)))
		}
		out[n].Runs = append(out[n].Runs, r.ID)
		for m := range metrics {
			spreads[n][m].Add(values[i].Metrics[m].Final)
		}
	}
	for n := range out {
		for m, name := range metrics {
			if s := spreads[n][m]; s.N > 0 {
				out[n].Final[name] = client.GroupSpread{Runs: s.N, Mean: s.Mean, Low: s.Low, High: s.High}
			}
		}
	}
	return out
}
