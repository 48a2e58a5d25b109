package chart

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// someNames is how many metrics a message names that a run has.
const someNames = 3

// missing is what the query asks for and the run does not have. Of a run that has reported nothing there is nothing to say yet.
func (a *asked) missing() (out run.FieldErrors, err error) {
	if len(a.printed) == 0 {
		return nil, nil
	}
	for _, m := range a.query.Metrics {
		names := []string{m}
		if text, isFormula := strings.CutPrefix(m, "="); isFormula {
			f, err := ParseFormula(text)
			if err != nil {
				return nil, err
			}
			names = f.Metrics
		}
		for _, name := range names {
			out = append(out, a.lacks("metric", name)...)
		}
	}
	if m := a.query.X.Metric(); m != "" {
		out = append(out, a.lacks("x", m)...)
	}
	if rank, nodes := int(a.query.Workers), a.run.Shape.Nodes; rank >= nodes && nodes > 0 {
		out = append(out, run.FieldError{Field: "workers", Value: strconv.Itoa(rank), Rule: "is no rank of this run", Fix: fmt.Sprintf("use all, each, or 0 to %d", nodes-1)})
	}
	return out, nil
}

// lacks is what is wrong with a metric that the run has neither reported nor lets derive.
func (a *asked) lacks(field, name string) run.FieldErrors {
	if _, ok := slices.BinarySearch(a.printed, name); ok || slices.ContainsFunc(a.derived, func(d Derived) bool { return d.Name == name }) {
		return nil
	}
	fix := "use one that it has, such as " + strings.Join(a.printed[:min(len(a.printed), someNames)], ", ")
	if near := trainconf.Near(name, a.printed); len(near) > 0 {
		fix = "use " + strings.Join(near, " or ")
	}
	return run.FieldErrors{{Field: field, Value: fault.Clip(name, 2*maxName), Rule: "is not reported by this run", Fix: fix}}
}
