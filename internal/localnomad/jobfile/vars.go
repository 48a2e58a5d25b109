package jobfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// variable is one declared input variable.
type variable struct {
	name  string
	kind  cty.Type // NilType: any
	value cty.Value
	set   bool
	from  string // "default" or "varfile"
	expr  hcl.Expression
	rules []rule
	decl  hcl.Range
}

// rule is a validation block.
type rule struct {
	condition hcl.Expression
	message   string
	decl      hcl.Range
}

func (p *parser) declareVariables(content *hcl.BodyContent) hcl.Diagnostics {
	var diags hcl.Diagnostics
	add := func(v *variable) {
		if p.variables[v.name] != nil {
			diags = append(diags, wrong(v.decl, "Duplicate variable", "Duplicate %s variable definition found.", v.name)...)
		}
		p.variables[v.name] = v
	}
	for _, b := range content.Blocks {
		switch b.Type {
		case "variable":
			v, more := declareVariable(b)
			diags = append(diags, more...)
			add(v)
		case "variables":
			attrs, more := b.Body.JustAttributes()
			diags = append(diags, more...)
			for _, name := range slices.Sorted(maps.Keys(attrs)) {
				a := attrs[name]
				v := &variable{name: name, kind: cty.NilType, decl: a.Range}
				diags = append(diags, v.assign(a.Expr, "default")...)
				v.kind = v.value.Type()
				add(v)
			}
		}
	}
	return diags
}

func declareVariable(b *hcl.Block) (*variable, hcl.Diagnostics) {
	content, diags := b.Body.Content(&hcl.BodySchema{
		Attributes: []hcl.AttributeSchema{{Name: "description"}, {Name: "default"}, {Name: "type"}},
		Blocks:     []hcl.BlockHeaderSchema{{Type: "validation"}},
	})
	v := &variable{name: b.Labels[0], kind: cty.NilType, value: cty.DynamicVal, decl: b.DefRange}
	if a := content.Attributes["type"]; a != nil {
		kind, more := typeexpr.Type(a.Expr)
		if diags = append(diags, more...); !more.HasErrors() {
			v.kind = kind
		}
	}
	if a := content.Attributes["default"]; a != nil {
		diags = append(diags, v.assign(a.Expr, "default")...)
		if v.kind == cty.NilType {
			v.kind = v.value.Type()
		}
	}
	for _, vb := range content.Blocks {
		inner, more := vb.Body.Content(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{
			{Name: "condition", Required: true}, {Name: "error_message", Required: true},
		}})
		if diags = append(diags, more...); more.HasErrors() {
			continue
		}
		r := rule{condition: inner.Attributes["condition"].Expr, decl: vb.DefRange}
		diags = append(diags, gohcl.DecodeExpression(inner.Attributes["error_message"].Expr, nil, &r.message)...)
		v.rules = append(v.rules, r)
	}
	return v, diags
}

// assign evaluates a variable's value and converts it to its type.
func (v *variable) assign(expr hcl.Expression, from string) hcl.Diagnostics {
	value, diags := expr.Value(nil)
	if diags.HasErrors() {
		return diags
	}
	if v.kind != cty.NilType {
		converted, err := convert.Convert(value, v.kind)
		if err != nil {
			return wrong(expr.Range(), "Invalid "+from+" value for variable", "The value for %s is not compatible with the variable's type constraint: %s.", v.name, err)
		}
		value = converted
	}
	v.value, v.set, v.from, v.expr = value, true, from, expr
	return diags
}

// assignVariables reads the variables text. Values for variables that the job file does not declare are ignored, as a real
// agent does here.
func (p *parser) assignVariables(body hcl.Body) hcl.Diagnostics {
	content, _, _ := body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "variable", LabelNames: []string{"name"}}}})
	for _, b := range content.Blocks { // a common slip
		return wrong(b.TypeRange, "Variable declaration in a .var file", "Variables are declared in the job file; here they only get a value: %s = <value>", b.Labels[0])
	}
	attrs, diags := body.JustAttributes()
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		if v := p.variables[name]; v != nil {
			diags = append(diags, v.assign(attrs[name].Expr, "varfile")...)
		}
	}
	return diags
}

// checkVariables reports variables without a value and those whose value breaks one of their rules.
func (p *parser) checkVariables() hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, name := range slices.Sorted(maps.Keys(p.variables)) {
		v := p.variables[name]
		if !v.set {
			diags = append(diags, wrong(v.decl, fmt.Sprintf("Unset variable %q", name), "A used variable must be set or have a default value.")...)
			continue
		}
		for _, r := range v.rules {
			diags = append(diags, p.checkRule(v, r)...)
		}
	}
	return diags
}

func (p *parser) checkRule(v *variable, r rule) hcl.Diagnostics {
	result, diags := r.condition.Value(&hcl.EvalContext{
		Variables: map[string]cty.Value{"var": cty.ObjectVal(map[string]cty.Value{v.name: v.value})}, Functions: p.functions,
	})
	if diags.HasErrors() {
		return diags
	}
	truth, err := convert.Convert(result, cty.Bool)
	if err != nil || truth.IsNull() || !truth.IsKnown() {
		return wrong(r.condition.Range(), "Invalid variable validation result", "The condition must be true or false.")
	}
	if truth.False() {
		return wrong(v.expr.Range(), fmt.Sprintf("Invalid value for %s variable", v.from),
			"%s\n\nThis was checked by the validation rule at %s.", strings.TrimSpace(r.message), r.decl)
	}
	return diags
}

// evaluateLocals evaluates the locals in the order that their references need.
func (p *parser) evaluateLocals(content *hcl.BodyContent) hcl.Diagnostics {
	waiting := map[string]hcl.Expression{}
	for _, b := range content.Blocks {
		if b.Type != "locals" {
			continue
		}
		attrs, diags := b.Body.JustAttributes()
		if diags.HasErrors() {
			return diags
		}
		for name, a := range attrs {
			if waiting[name] != nil {
				return wrong(a.NameRange, "Duplicate value in locals", "Duplicate %s definition found.", name)
			}
			waiting[name] = a.Expr
		}
	}
	for len(waiting) > 0 {
		before := len(waiting)
		var failed hcl.Diagnostics
		for _, name := range slices.Sorted(maps.Keys(waiting)) {
			value, diags := waiting[name].Value(p.evalContext())
			if diags.HasErrors() {
				failed = append(failed, diags...)
				continue
			}
			p.locals[name] = value
			delete(waiting, name)
		}
		if len(waiting) == before {
			return failed // a circle, or a plain mistake
		}
	}
	return nil
}
