package web

import (
	"fmt"
	"math"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/views"
)

const (
	pointsShown = 100 // runs that the preview lists
	errorsShown = 3   // of one run
)

// view makes the form's model.
func (f *sweepForm) view() views.SweepForm {
	v := views.SweepForm{
		Name: views.Field{
			Name: inputName, Label: "Name", Kind: "text", Value: f.name, Required: true,
			Help: "Its runs are named after it, with their number.",
		},
		Parallel: views.Field{
			Name: inputParallel, Label: "Runs at one time", Kind: "number", Value: f.parallel, Hint: "0",
			Help: "The most that are sent to Nomad at one time; 0 for no limit.",
		},
		List: f.list, Base: baseText(f.sub), Source: f.from, Key: f.key, Facts: f.baseFacts(), OwnFolders: f.ownFolders, Submitted: f.submitted,
	}
	v.From, v.FromHref = sourceOf(f.from, f.sub)
	for _, field := range f.shared() {
		v.Shared = append(v.Shared, views.Fact{Key: field, Label: labelOf(field), Value: f.base.Get(field)})
	}
	for i, a := range f.axes {
		row := views.SweepAxis{Number: i + 1, Field: a.field, Values: a.typed}
		if a.err != nil {
			row.Error = sentences(*a.err)
		} else if spec, ok := trainconf.Lookup(a.field); ok {
			row.Current = spec.Label + "; now " + orDefault(f.base.Value(a.field))
		}
		v.Rows = append(v.Rows, row)
	}
	for _, field := range trainconf.AllFields() {
		if !field.Secret && field.Path != trainconf.FieldName {
			v.Fields = append(v.Fields, views.SweepChoice{Path: field.Path, Label: field.Label})
		}
	}
	for _, e := range f.errs {
		switch e.Field {
		case inputName:
			v.Name.Error = sentences(e)
		case inputParallel:
			v.Parallel.Error = sentences(e)
		default:
			v.General = append(v.General, labelled(e))
		}
	}
	v.Preview = f.preview()
	return v
}

func labelOf(field string) string {
	if spec, ok := trainconf.Lookup(field); ok {
		return spec.Label
	}
	return field
}

func orDefault(value string) string {
	if value == "" {
		return "not set"
	}
	return value
}

// baseFacts is what all runs have, before anything varies.
func (f *sweepForm) baseFacts() []views.Fact {
	return append([]views.Fact{{Key: "model", Label: "Model", Value: modelOf(f.base)}}, factsOf(f.base)...)
}

// preview checks every run that the form would make, and adds up what they cost.
func (f *sweepForm) preview() views.SweepPreview {
	var v views.SweepPreview
	axes := f.used()
	if len(axes) == 0 {
		v.Problem = "The runs appear here once a field has values."
		if f.rowsWrong() {
			v.Problem = "The runs appear here once a row can be read."
		}
		return v
	}
	for _, a := range axes {
		v.Columns = append(v.Columns, views.SweepColumn{Field: a.field, Label: labelOf(a.field)})
	}
	points := f.spec().Points()
	v.Total = len(points)
	if v.Total > run.MaxSweepRuns {
		v.Problem = fmt.Sprintf("That is more than %d runs, the most that a sweep may make. Use fewer values.", run.MaxSweepRuns)
		return v
	}
	var cost sweepCost
	base := f.request()
	seen := map[string]int{}
	for i, values := range points {
		p, req := pointOf(base, axes, i+1, values, seen)
		cost.add(req)
		if len(p.Errors) > 0 {
			v.Broken++
		}
		if i < pointsShown || (len(p.Errors) > 0 && len(v.Points) < 2*pointsShown) {
			v.Points = append(v.Points, p)
		}
	}
	v.More = v.Total - len(v.Points)
	if v.Total == 1 {
		v.Warning = "A sweep has at least two runs: give a field more values."
	}
	v.Facts = cost.facts(v.Total, f.limit)
	return v
}

// pointOf checks one run. seen holds the number of the run that has the same values.
func pointOf(base trainconf.Request, axes []axis, number int, values map[string]string, seen map[string]int) (views.SweepPoint, trainconf.Request) {
	p := views.SweepPoint{Number: number}
	req := base
	add := func(err error) {
		for _, e := range trainconf.AsFieldErrors(err) {
			p.Errors = append(p.Errors, labelled(e))
		}
	}
	for _, a := range axes {
		add(req.Set(a.field, values[a.field]))
	}
	key := ""
	for _, a := range axes {
		p.Values = append(p.Values, req.Get(a.field))
		key += req.Value(a.field) + "\x00"
	}
	if first, twice := seen[key]; twice {
		p.Errors = append(p.Errors, fmt.Sprintf("The same as run %d. Remove one of the two.", first))
	} else {
		seen[key] = number
	}
	errs, _ := req.CheckUnnamed()
	for _, e := range errs {
		add(e)
	}
	if n := len(p.Errors); n > errorsShown {
		p.Errors = append(p.Errors[:errorsShown], fmt.Sprintf("%d more.", n-errorsShown))
	}
	p.GPUs = req.Shape.TotalGPUs()
	return p, req
}

// sweepCost adds up runs.
type sweepCost struct {
	gpus, workers       int // over all runs
	mostGPUs, mostNodes int // of one run
	tokens              float64
}

func (c *sweepCost) add(req trainconf.Request) {
	c.gpus += req.Shape.TotalGPUs()
	c.workers += req.Shape.Nodes
	c.mostGPUs = max(c.mostGPUs, req.Shape.TotalGPUs())
	c.mostNodes = max(c.mostNodes, req.Shape.Nodes)
	c.tokens += float64(req.Config.Plan(req.Shape).TokensTotal)
}

func (c *sweepCost) facts(runs, limit int) []views.Fact {
	together := runs
	if limit > 0 {
		together = min(limit, runs)
	}
	facts := []views.Fact{{Key: "runs", Label: "Runs", Value: views.Integer(runs), Note: fmt.Sprintf("at most %s at one time", views.Integer(together))}}
	unit, all, most := "GPUs", c.gpus, c.mostGPUs
	if c.gpus == 0 {
		unit, all, most = "workers", c.workers, c.mostNodes
	}
	note := fmt.Sprintf("up to %s at one time", views.Integer(min(together*most, all)))
	if all == runs*most {
		note = fmt.Sprintf("%s runs × %s; %s", views.Integer(runs), views.Integer(most), note)
	}
	facts = append(facts, views.Fact{Key: "cost", Label: capital(unit) + " in all", Value: views.Integer(all), Note: note})
	if c.tokens > 0 && c.tokens < math.MaxInt64 {
		facts = append(facts, views.Fact{Key: "tokens", Label: "Tokens in all", Value: views.Number(c.tokens)})
	}
	return facts
}
