package jobfile

import (
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// freeAttributes returns the attributes of a body whose names are free. It asks for them twice: what a dynamic block
// expands to knows its iterators only in attributes that are asked for by name.
func freeAttributes(body hcl.Body) (hcl.Attributes, hcl.Diagnostics) {
	attrs, diags := body.JustAttributes()
	schema := &hcl.BodySchema{}
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: name})
	}
	content, _, more := body.PartialContent(schema)
	return content.Attributes, append(diags, more...)
}

// freeBody decodes what only a driver or another program has a schema for: attributes, and blocks as lists of maps.
// Dynamic blocks in it are not expanded: they are blocks as others.
func (p *parser) freeBody(body hcl.Body, ctx *hcl.EvalContext) (map[string]any, hcl.Diagnostics) {
	out := map[string]any{}
	if raw := p.bodies[body.MissingItemRange()]; raw != nil {
		blocksToAttributes(raw)
	}
	attrs, diags := freeAttributes(body)
	for name, a := range attrs {
		v, more := a.Expr.Value(ctx)
		diags = append(diags, more...)
		if more.HasErrors() {
			continue
		}
		plain, err := plainValue(v)
		if err != nil {
			diags = append(diags, unsuitable(a.Expr, err.Error()))
			continue
		}
		out[name] = plain
	}
	return out, diags
}

// indexBodies finds the bodies of a file again by where they end: what expands dynamic blocks hides them.
func (p *parser) indexBodies(body *hclsyntax.Body) {
	p.bodies[body.MissingItemRange()] = body
	for _, b := range body.Blocks {
		p.indexBodies(b.Body)
	}
}

// blocksToAttributes makes attributes of the blocks in a body, and a list of one of an object: it might have been a block.
func blocksToAttributes(body *hclsyntax.Body) {
	for _, a := range body.Attributes {
		a.Expr = objectAsBlock(a.Expr)
	}
	for _, item := range blockItems(body.Blocks) {
		first := item.blocks[0]
		body.Attributes[item.name] = &hclsyntax.Attribute{
			Name: item.name, Expr: item.expr(), SrcRange: first.Body.SrcRange, NameRange: first.TypeRange, EqualsRange: first.OpenBraceRange,
		}
	}
	body.Blocks = nil
}

// blockItem is the blocks of one type in a body.
type blockItem struct {
	name   string
	blocks []*hclsyntax.Block
}

func blockItems(blocks []*hclsyntax.Block) []blockItem {
	var out []blockItem
	for _, b := range blocks {
		i := slices.IndexFunc(out, func(item blockItem) bool { return item.name == b.Type })
		if i < 0 {
			i = len(out)
			out = append(out, blockItem{name: b.Type})
		}
		out[i].blocks = append(out[i].blocks, b)
	}
	return out
}

// expr is a list with an object for each block.
func (item blockItem) expr() hclsyntax.Expression {
	list := &hclsyntax.TupleConsExpr{SrcRange: item.blocks[0].TypeRange, OpenRange: item.blocks[0].OpenBraceRange}
	for _, b := range item.blocks {
		object := &hclsyntax.ObjectConsExpr{SrcRange: b.Body.SrcRange, OpenRange: b.OpenBraceRange}
		for _, name := range slices.Sorted(maps.Keys(b.Body.Attributes)) {
			a := b.Body.Attributes[name]
			object.Items = append(object.Items, keyed(name, objectAsBlock(a.Expr), a.NameRange))
		}
		for _, inner := range blockItems(b.Body.Blocks) {
			object.Items = append(object.Items, keyed(inner.name, inner.expr(), inner.blocks[0].TypeRange))
		}
		for i, label := range slices.Backward(b.Labels) { // each is a key of its own
			within := &hclsyntax.TupleConsExpr{Exprs: []hclsyntax.Expression{object}, SrcRange: b.Body.SrcRange, OpenRange: b.OpenBraceRange}
			object = &hclsyntax.ObjectConsExpr{Items: []hclsyntax.ObjectConsItem{keyed(label, within, b.LabelRanges[i])}, SrcRange: b.Body.SrcRange, OpenRange: b.OpenBraceRange}
		}
		list.Exprs = append(list.Exprs, object)
	}
	return list
}

func keyed(name string, value hclsyntax.Expression, at hcl.Range) hclsyntax.ObjectConsItem {
	return hclsyntax.ObjectConsItem{KeyExpr: &hclsyntax.LiteralValueExpr{Val: cty.StringVal(name), SrcRange: at}, ValueExpr: value}
}

func objectAsBlock(e hclsyntax.Expression) hclsyntax.Expression {
	if _, ok := hcl.UnwrapExpression(e).(*hclsyntax.ObjectConsExpr); ok {
		return &hclsyntax.TupleConsExpr{Exprs: []hclsyntax.Expression{e}, SrcRange: e.Range(), OpenRange: e.StartRange()}
	}
	return e
}
