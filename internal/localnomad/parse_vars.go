package localnomad

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// variable is one declared input variable.
type variable struct {
	name        string
	kind        cty.Type // NilType: any
	value       cty.Value
	set         bool
	from        string // "default" or "varfile"
	expr        hcl.Expression
	validations []validation
	decl        hcl.Range
}

type validation struct {
	condition hcl.Expression
	message   string
	decl      hcl.Range
}

func (p *jobParser) declareVariables(content *hcl.BodyContent) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, b := range content.Blocks {
		switch b.Type {
		case "variable":
			diags = append(diags, p.declareVariable(b)...)
		case "variables":
			attrs, more := b.Body.JustAttributes()
			diags = append(diags, more...)
			for _, name := range sortedKeys(attrs, "") {
				a := attrs[name]
				value, more := a.Expr.Value(nil)
				diags = append(diags, more...)
				diags = append(diags, p.addVariable(&variable{
					name: name, kind: value.Type(), value: value, set: true, from: "default", expr: a.Expr, decl: a.Range,
				})...)
			}
		}
	}
	return diags
}

func (p *jobParser) addVariable(v *variable) hcl.Diagnostics {
	if p.variables[v.name] != nil {
		return hcl.Diagnostics{{
			Severity: hcl.DiagError, Summary: "Duplicate variable", Subject: &v.decl,
			Detail: fmt.Sprintf("Duplicate %s variable definition found.", v.name),
		}}
	}
	p.variables[v.name] = v
	return nil
}

func (p *jobParser) declareVariable(b *hcl.Block) hcl.Diagnostics {
	content, diags := b.Body.Content(&hcl.BodySchema{
		Attributes: []hcl.AttributeSchema{{Name: "description"}, {Name: "default"}, {Name: "type"}},
		Blocks:     []hcl.BlockHeaderSchema{{Type: "validation"}},
	})
	v := &variable{name: b.Labels[0], kind: cty.NilType, decl: b.DefRange}
	if !hclsyntax.ValidIdentifier(v.name) {
		diags = append(diags, &hcl.Diagnostic{
			Severity: hcl.DiagError, Summary: "Invalid variable name", Subject: &b.LabelRanges[0],
			Detail: "A name must start with a letter or underscore and may contain only letters, digits, underscores, and dashes.",
		})
	}
	if a := content.Attributes["description"]; a != nil {
		var text string
		diags = append(diags, gohcl.DecodeExpression(a.Expr, nil, &text)...)
	}
	if a := content.Attributes["type"]; a != nil {
		kind, more := typeexpr.Type(a.Expr)
		diags = append(diags, more...)
		if more.HasErrors() {
			return diags
		}
		v.kind = kind
	}
	if a := content.Attributes["default"]; a != nil {
		value, more := a.Expr.Value(nil)
		diags = append(diags, more...)
		if !more.HasErrors() {
			diags = append(diags, v.assign(value, "default", a.Expr)...)
			if v.kind == cty.NilType {
				v.kind = value.Type()
			}
		}
	}
	for _, vb := range content.Blocks {
		diags = append(diags, v.addValidation(vb)...)
	}
	return append(diags, p.addVariable(v)...)
}

func (v *variable) assign(value cty.Value, from string, expr hcl.Expression) hcl.Diagnostics {
	if v.kind != cty.NilType {
		converted, err := convert.Convert(value, v.kind)
		if err != nil {
			summary, detail := "Invalid value for variable", fmt.Sprintf("The value for %s is not compatible with the variable's type constraint: %s.", v.name, err)
			if from == "default" {
				summary = "Invalid default value for variable"
				detail = fmt.Sprintf("This default value is not compatible with the variable's type constraint: %s.", err)
			}
			return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: expr.Range().Ptr()}}
		}
		value = converted
	}
	v.value, v.set, v.from, v.expr = value, true, from, expr
	return nil
}

func (v *variable) addValidation(b *hcl.Block) hcl.Diagnostics {
	content, diags := b.Body.Content(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{
		{Name: "condition", Required: true}, {Name: "error_message", Required: true},
	}})
	if diags.HasErrors() {
		return diags
	}
	rule := validation{condition: content.Attributes["condition"].Expr, decl: b.DefRange}
	good := 0
	for _, ref := range rule.condition.Variables() {
		if attr, ok := secondName(ref); ok && ref.RootName() == "var" && attr == v.name {
			good++
			continue
		}
		diags = append(diags, &hcl.Diagnostic{
			Severity: hcl.DiagError, Summary: "Invalid reference in variable validation", Subject: ref.SourceRange().Ptr(),
			Detail: fmt.Sprintf("The condition for variable %q can only refer to the variable itself, using var.%s.", v.name, v.name),
		})
	}
	if good == 0 {
		diags = append(diags, &hcl.Diagnostic{
			Severity: hcl.DiagError, Summary: "Invalid variable validation condition", Subject: rule.condition.Range().Ptr(),
			Detail: fmt.Sprintf("The condition for variable %q must refer to var.%s in order to test incoming values.", v.name, v.name),
		})
	}
	message := content.Attributes["error_message"]
	diags = append(diags, gohcl.DecodeExpression(message.Expr, nil, &rule.message)...)
	if strings.TrimSpace(rule.message) == "" {
		diags = append(diags, &hcl.Diagnostic{
			Severity: hcl.DiagError, Summary: "Invalid validation error message", Subject: message.Expr.Range().Ptr(),
			Detail: "An empty or blank string is not a valid nor useful error message.",
		})
	}
	v.validations = append(v.validations, rule)
	return diags
}

func secondName(t hcl.Traversal) (string, bool) {
	if len(t) < 2 {
		return "", false
	}
	a, ok := t[1].(hcl.TraverseAttr)
	return a.Name, ok
}

// assignVariables reads the variables text. Values for variables that the job
// file does not declare are ignored, as a real agent does here.
func (p *jobParser) assignVariables(file *hcl.File) hcl.Diagnostics {
	if file == nil {
		return nil
	}
	if diags := refuseDeclarations(file.Body); diags.HasErrors() {
		return diags
	}
	attrs, diags := file.Body.JustAttributes()
	for _, name := range sortedKeys(attrs, "") {
		v := p.variables[name]
		if v == nil {
			continue
		}
		value, more := attrs[name].Expr.Value(nil)
		diags = append(diags, more...)
		if !more.HasErrors() {
			diags = append(diags, v.assign(value, "varfile", attrs[name].Expr)...)
		}
	}
	return diags
}

// refuseDeclarations says what is wrong when variables are declared where
// only values belong: a common slip.
func refuseDeclarations(body hcl.Body) hcl.Diagnostics {
	content, _, _ := body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "variable", LabelNames: []string{"name"}}}})
	var diags hcl.Diagnostics
	for _, b := range content.Blocks {
		diags = append(diags, &hcl.Diagnostic{
			Severity: hcl.DiagError, Summary: "Variable declaration in a .var file", Subject: &b.TypeRange,
			Detail: fmt.Sprintf("A .var file is used to assign values to variables that have already been declared in job files, "+
				"not to declare new variables. To declare variable %q, place this block in one of your job files\n\n"+
				"To set a value for this variable in %s, use the definition syntax instead:\n    %s = <value>",
				b.Labels[0], b.TypeRange.Filename, b.Labels[0]),
		})
	}
	return diags
}

// checkVariables reports variables without a value and those whose value
// breaks one of their rules.
func (p *jobParser) checkVariables() hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, name := range sortedKeys(p.variables, "") {
		v := p.variables[name]
		if !v.set {
			diags = append(diags, &hcl.Diagnostic{
				Severity: hcl.DiagError, Summary: fmt.Sprintf("Unset variable %q", name), Context: &v.decl,
				Detail: "A used variable must be set or have a default value; see " +
					"https://developer.hashicorp.com/nomad/docs/reference/hcl2/variables  for details.",
			})
			continue
		}
		for _, rule := range v.validations {
			diags = append(diags, p.check(v, rule)...)
		}
	}
	return diags
}

func (p *jobParser) check(v *variable, rule validation) hcl.Diagnostics {
	ctx := &hcl.EvalContext{
		Variables: map[string]cty.Value{"var": cty.ObjectVal(map[string]cty.Value{v.name: v.value})}, Functions: p.functions,
	}
	result, diags := rule.condition.Value(ctx)
	if diags.HasErrors() {
		return diags
	}
	bad := func(detail string) hcl.Diagnostics {
		return append(diags, &hcl.Diagnostic{
			Severity: hcl.DiagError, Summary: "Invalid variable validation result", Detail: detail, Subject: rule.condition.Range().Ptr(),
		})
	}
	if !result.IsKnown() {
		return diags
	}
	if result.IsNull() {
		return bad("Validation condition expression must return either true or false, not null.")
	}
	truth, err := convert.Convert(result, cty.Bool)
	if err != nil {
		return bad(fmt.Sprintf("Invalid validation condition result value: %s.", err))
	}
	if truth.False() {
		subject := rule.decl.Ptr()
		if v.expr != nil {
			subject = v.expr.Range().Ptr()
		}
		diags = append(diags, &hcl.Diagnostic{
			Severity: hcl.DiagError, Summary: fmt.Sprintf("Invalid value for %s variable", v.from), Subject: subject,
			Detail: fmt.Sprintf("%s\n\nThis was checked by the validation rule at %s.", rule.message, rule.decl),
		})
	}
	return diags
}

// evaluateLocals evaluates the locals in the order their references need.
func (p *jobParser) evaluateLocals(content *hcl.BodyContent) hcl.Diagnostics {
	var diags hcl.Diagnostics
	waiting := map[string]hcl.Expression{}
	for _, b := range content.Blocks {
		if b.Type != "locals" {
			continue
		}
		attrs, more := b.Body.JustAttributes()
		diags = append(diags, more...)
		for name, a := range attrs {
			if waiting[name] != nil {
				return append(diags, &hcl.Diagnostic{
					Severity: hcl.DiagError, Summary: "Duplicate value in locals", Subject: a.NameRange.Ptr(),
					Detail: fmt.Sprintf("Duplicate %s definition found.", name),
				})
			}
			waiting[name] = a.Expr
		}
	}
	for len(waiting) > 0 {
		before := len(waiting)
		names := sortedKeys(waiting, "")
		var failed hcl.Diagnostics
		for _, name := range names {
			value, more := p.value(waiting[name], p.evalContext())
			if more.HasErrors() {
				failed = append(failed, more...)
				continue
			}
			p.locals[name] = value
			delete(waiting, name)
		}
		if len(waiting) == before {
			return append(diags, failed...) // a circle, or a plain mistake
		}
	}
	return diags
}
