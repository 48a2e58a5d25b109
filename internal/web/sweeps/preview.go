package sweeps

import (
	"cmp"
	"context"
	"fmt"
	"math"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/form"
	view "github.com/cotrain/cotrain/views/sweeps"
	"github.com/cotrain/cotrain/views/ui"
)

const (
	pointsShown = 100 // runs listed
	errorsShown = 3   // per run
)

// judge returns what the runs' project and shared storage refuse of one.
func (p *Pages) judge(ctx context.Context, f *sweepForm) func(trainconf.Request) run.FieldErrors {
	check := p.Form.Control.Check(ctx)
	return func(req trainconf.Request) run.FieldErrors {
		sub := req.Submission()
		sub.Project = f.sub.Project
		errs, _ := check(sub)
		return errs
	}
}

// view returns the form's model.
func (f *sweepForm) view(judge func(trainconf.Request) run.FieldErrors) view.Form {
	v := view.Form{
		Name: ui.Field{
			Name: form.InputName, Label: "Name", Kind: "text", Value: f.name, Required: true,
			Help: "Runs are named after it, with a number.",
		},
		Parallel: ui.Field{
			Name: inputParallel, Label: "Parallel runs", Kind: "number", Value: f.parallel, Hint: "0",
			Help: "At most this many in Nomad at once; 0 for no limit.",
		},
		List: f.list, Base: form.Carry(f.sub), Source: f.from, Key: f.key, Facts: f.baseFacts(), OwnFolders: f.ownFolders, Submitted: f.submitted,
	}
	v.From, v.FromHref = form.SourceOf(f.from, f.sub)
	for _, field := range f.shared() {
		v.Shared = append(v.Shared, ui.Fact{Key: field, Label: form.LabelOf(field), Value: f.base.Get(field)})
	}
	for i, a := range f.axes {
		row := view.Axis{Number: i + 1, Field: a.field, Values: a.typed}
		if a.err != nil {
			row.Error = form.Sentence(*a.err)
		} else if spec, ok := trainconf.Lookup(a.field); ok {
			row.Current = spec.Label + "; now " + cmp.Or(f.base.Value(a.field), "not set")
		}
		v.Rows = append(v.Rows, row)
	}
	for _, field := range trainconf.AllFields() {
		if !field.Secret && field.Path != trainconf.FieldName {
			v.Fields = append(v.Fields, view.FieldChoice{Path: field.Path, Label: field.Label})
		}
	}
	for _, e := range f.errs {
		switch e.Field {
		case form.InputName:
			v.Name.Error = form.Sentence(e)
		case inputParallel:
			v.Parallel.Error = form.Sentence(e)
		default:
			v.General = append(v.General, form.Labelled(e))
		}
	}
	v.Preview = f.preview(judge)
	return v
}

// baseFacts is what all runs share.
func (f *sweepForm) baseFacts() []ui.Fact {
	return append([]ui.Fact{{Key: "model", Label: "Model", Value: f.base.Value("name_model")}}, form.Facts(f.base)...)
}

// preview checks every run and sums up their cost.
func (f *sweepForm) preview(judge func(trainconf.Request) run.FieldErrors) view.Preview {
	var v view.Preview
	axes := f.used()
	if len(axes) == 0 {
		v.Problem = "Runs appear here once a field has values."
		if f.rowsWrong() {
			v.Problem = "Runs appear here once a row is valid."
		}
		return v
	}
	for _, a := range axes {
		v.Columns = append(v.Columns, view.Column{Field: a.field, Label: form.LabelOf(a.field)})
	}
	points := f.spec().Points()
	v.Total = len(points)
	if v.Total > run.MaxSweepRuns {
		v.Problem = fmt.Sprintf("More than %d runs, the maximum of a sweep. Use fewer values.", run.MaxSweepRuns)
		return v
	}
	var cost sweepCost
	base := f.request()
	seen := map[string]int{}
	for i, values := range points {
		p, req := pointOf(base, axes, i+1, values, seen, judge)
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
		v.Warning = "A sweep needs at least two runs: add values."
	}
	v.Facts = cost.facts(v.Total, f.limit)
	return v
}

// pointOf checks one run. seen maps values to the first run's number.
func pointOf(base trainconf.Request, axes []axis, number int, values map[string]string, seen map[string]int, judge func(trainconf.Request) run.FieldErrors) (view.Point, trainconf.Request) {
	p := view.Point{Number: number}
	req := base
	add := func(err error) {
		for _, e := range trainconf.AsFieldErrors(err) {
			p.Errors = append(p.Errors, form.Labelled(e))
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
		p.Errors = append(p.Errors, fmt.Sprintf("Same as run %d. Remove one of them.", first))
	} else {
		seen[key] = number
	}
	errs, _ := req.CheckUnnamed()
	for _, e := range append(errs, judge(req)...) {
		add(e)
	}
	if n := len(p.Errors); n > errorsShown {
		p.Errors = append(p.Errors[:errorsShown], fmt.Sprintf("%d more.", n-errorsShown))
	}
	p.GPUs = req.Shape.TotalGPUs()
	return p, req
}

type sweepCost struct {
	gpus, workers       int // of all runs
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

func (c *sweepCost) facts(runs, limit int) []ui.Fact {
	together := runs
	if limit > 0 {
		together = min(limit, runs)
	}
	facts := []ui.Fact{{Key: "runs", Label: "Runs", Value: ui.Integer(runs), Note: fmt.Sprintf("at most %s at once", ui.Integer(together))}}
	label, all, most := "Total GPUs", c.gpus, c.mostGPUs
	if c.gpus == 0 {
		label, all, most = "Total workers", c.workers, c.mostNodes
	}
	note := fmt.Sprintf("up to %s at once", ui.Integer(min(together*most, all)))
	if all == runs*most {
		note = fmt.Sprintf("%s runs × %s; %s", ui.Integer(runs), ui.Integer(most), note)
	}
	facts = append(facts, ui.Fact{Key: "cost", Label: label, Value: ui.Integer(all), Note: note})
	if c.tokens > 0 && c.tokens < math.MaxInt64 {
		facts = append(facts, ui.Fact{Key: "tokens", Label: "Total tokens", Value: ui.Number(c.tokens)})
	}
	return facts
}
