package localnomad

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// meteredBody is the body of a JSON file, whose expressions are counted like those of HCL's own syntax.
type meteredBody struct {
	hcl.Body
	meter *meter
}

// Content is for hcl.
func (b meteredBody) Content(schema *hcl.BodySchema) (*hcl.BodyContent, hcl.Diagnostics) {
	content, diags := b.Body.Content(schema)
	return b.content(content), diags
}

// PartialContent is for hcl.
func (b meteredBody) PartialContent(schema *hcl.BodySchema) (*hcl.BodyContent, hcl.Body, hcl.Diagnostics) {
	content, rest, diags := b.Body.PartialContent(schema)
	return b.content(content), meteredBody{rest, b.meter}, diags
}

// JustAttributes is for hcl.
func (b meteredBody) JustAttributes() (hcl.Attributes, hcl.Diagnostics) {
	attrs, diags := b.Body.JustAttributes()
	return b.attributes(attrs), diags
}

func (b meteredBody) content(c *hcl.BodyContent) *hcl.BodyContent {
	if c == nil {
		return nil
	}
	out := *c
	out.Attributes, out.Blocks = b.attributes(c.Attributes), nil
	for _, block := range c.Blocks {
		inner := *block
		inner.Body = meteredBody{block.Body, b.meter}
		out.Blocks = append(out.Blocks, &inner)
	}
	return &out
}

func (b meteredBody) attributes(attrs hcl.Attributes) hcl.Attributes {
	out := make(hcl.Attributes, len(attrs))
	for name, a := range attrs {
		inner := *a
		inner.Expr = meteredJSON{a.Expr, b.meter}
		out[name] = &inner
	}
	return out
}

// meteredJSON is a value in a JSON file. Its strings are templates.
type meteredJSON struct {
	hcl.Expression
	meter *meter
}

// UnwrapExpression is for hcl, which looks for what an expression is beside its value.
func (e meteredJSON) UnwrapExpression() hcl.Expression { return e.Expression }

// Value is for hcl.
func (e meteredJSON) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	if e.meter.spend(1) != nil {
		return cty.DynamicVal, e.meter.diags(e.Range())
	}
	v, diags := e.Expression.Value(nil) // the strings as they are written
	if diags.HasErrors() {
		return v, diags
	}
	if e.meter.count(v) != nil {
		return cty.DynamicVal, e.meter.diags(e.Range())
	}
	if ctx == nil {
		return v, diags
	}
	return e.evaluate(v, ctx)
}

// evaluate evaluates the templates in a value.
func (e meteredJSON) evaluate(v cty.Value, ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	var diags hcl.Diagnostics
	switch t := v.Type(); {
	case v.IsNull():
	case t == cty.String:
		expr, diags := hclsyntax.ParseTemplate([]byte(v.AsString()), parseName, e.StartRange().Start)
		if diags.HasErrors() {
			return cty.DynamicVal, diags
		}
		return e.meter.expr(expr).Value(ctx)
	case t.IsTupleType():
		var out []cty.Value
		for it := v.ElementIterator(); it.Next(); {
			_, element := it.Element()
			value, more := e.evaluate(element, ctx)
			out, diags = append(out, value), append(diags, more...)
		}
		return cty.TupleVal(out), diags
	case t.IsObjectType():
		out := map[string]cty.Value{}
		for it := v.ElementIterator(); it.Next(); {
			key, element := it.Element()
			name, more := e.key(key, ctx)
			diags = append(diags, more...)
			value, more := e.evaluate(element, ctx)
			diags = append(diags, more...)
			out[name] = value
		}
		return cty.ObjectVal(out), diags
	}
	return v, diags
}

func (e meteredJSON) key(v cty.Value, ctx *hcl.EvalContext) (string, hcl.Diagnostics) {
	key, diags := e.evaluate(v, ctx)
	if diags.HasErrors() {
		return "", diags
	}
	name, err := convert.Convert(key, cty.String)
	if err != nil || name.IsNull() || !name.IsKnown() {
		at := e.Range()
		return "", append(diags, &hcl.Diagnostic{
			Severity: hcl.DiagError, Summary: "Invalid object key expression", Subject: &at, Detail: fmt.Sprintf("Cannot use %q as an object key.", v.AsString()),
		})
	}
	return name.AsString(), diags
}
