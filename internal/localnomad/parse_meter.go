package localnomad

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// metered is an expression whose values are counted. Within are parentheses around the original, so that a walk over the
// tree still visits that.
type metered struct {
	hclsyntax.Expression
	original hclsyntax.Expression
	meter    *meter
	numeric  bool // a text becomes a number
}

// Value is for hclsyntax.
func (e *metered) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	if e.meter.spend(1) != nil {
		return cty.DynamicVal, e.meter.diags(e.Range())
	}
	v, diags := e.Expression.Value(ctx)
	err := e.meter.count(v)
	if err == nil && e.numeric {
		err = e.meter.numberIn(v)
	}
	if err != nil {
		return cty.DynamicVal, e.meter.diags(e.Range())
	}
	return v, diags
}

// UnwrapExpression is for hcl, which looks for what an expression is beside its value.
func (e *metered) UnwrapExpression() hcl.Expression { return e.original }

// body meters all expressions of a body.
func (m *meter) body(b *hclsyntax.Body) {
	for _, a := range b.Attributes {
		a.Expr = m.expr(a.Expr)
	}
	for _, block := range b.Blocks {
		m.body(block.Body)
	}
}

// expr meters an expression with all that it is made of. Literals cost nothing beyond the text that they stand in.
func (m *meter) expr(e hclsyntax.Expression) hclsyntax.Expression {
	switch e := e.(type) {
	case nil, *hclsyntax.AnonSymbolExpr, *metered:
		return e
	case *hclsyntax.LiteralValueExpr:
		if e.Val.IsKnown() && !e.Val.IsNull() && e.Val.Type() == cty.Number {
			_ = m.number(e.Val.AsBigFloat()) // the meter keeps it
		}
		return e
	}
	m.parts(e)
	return &metered{Expression: &hclsyntax.ParenthesesExpr{Expression: e, SrcRange: e.Range()}, original: e, meter: m}
}

// parts meters the expressions that one is made of.
func (m *meter) parts(e hclsyntax.Expression) {
	switch e := e.(type) {
	case *hclsyntax.ParenthesesExpr:
		e.Expression = m.expr(e.Expression)
	case *hclsyntax.RelativeTraversalExpr:
		e.Source = m.expr(e.Source)
	case *hclsyntax.FunctionCallExpr:
		m.exprs(e.Args)
	case *hclsyntax.ConditionalExpr:
		e.Condition, e.TrueResult, e.FalseResult = m.expr(e.Condition), m.expr(e.TrueResult), m.expr(e.FalseResult)
	case *hclsyntax.IndexExpr:
		e.Collection, e.Key = m.expr(e.Collection), m.expr(e.Key)
	case *hclsyntax.TupleConsExpr:
		m.exprs(e.Exprs)
	case *hclsyntax.ObjectConsExpr:
		for i, item := range e.Items {
			if key, ok := item.KeyExpr.(*hclsyntax.ObjectConsKeyExpr); ok { // looks at the type of what it wraps
				m.parts(key.Wrapped)
			}
			e.Items[i].ValueExpr = m.expr(item.ValueExpr)
		}
	case *hclsyntax.ForExpr:
		e.CollExpr, e.KeyExpr, e.ValExpr, e.CondExpr = m.expr(e.CollExpr), m.expr(e.KeyExpr), m.expr(e.ValExpr), m.expr(e.CondExpr)
		for _, each := range []*hclsyntax.Expression{&e.KeyExpr, &e.ValExpr, &e.CondExpr} {
			*each = m.repeated(*each)
		}
	case *hclsyntax.SplatExpr:
		e.Source, e.Each = m.expr(e.Source), m.repeated(m.expr(e.Each))
	case *hclsyntax.TemplateExpr:
		m.exprs(e.Parts)
	case *hclsyntax.TemplateJoinExpr:
		e.Tuple = m.expr(e.Tuple)
	case *hclsyntax.TemplateWrapExpr:
		e.Wrapped = m.expr(e.Wrapped)
	case *hclsyntax.UnaryOpExpr:
		e.Val = m.operand(e.Val)
	case *hclsyntax.BinaryOpExpr:
		if e.Op == hclsyntax.OpEqual || e.Op == hclsyntax.OpNotEqual {
			e.LHS, e.RHS = m.expr(e.LHS), m.expr(e.RHS)
		} else {
			e.LHS, e.RHS = m.operand(e.LHS), m.operand(e.RHS)
		}
	}
}

func (m *meter) exprs(es []hclsyntax.Expression) {
	for i, e := range es {
		es[i] = m.expr(e)
	}
}

// repeated meters what is evaluated again and again, even a literal.
func (m *meter) repeated(e hclsyntax.Expression) hclsyntax.Expression {
	if _, ok := e.(*metered); ok || e == nil {
		return e
	}
	return &metered{Expression: &hclsyntax.ParenthesesExpr{Expression: e, SrcRange: e.Range()}, original: e, meter: m}
}

// operand meters what becomes a number.
func (m *meter) operand(e hclsyntax.Expression) hclsyntax.Expression {
	out := m.expr(e)
	if w, ok := out.(*metered); ok {
		w.numeric = true
	}
	return out
}
