package localnomad

import (
	"sort"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// evalContext is what expressions of the job see.
func (p *jobParser) evalContext() *hcl.EvalContext {
	vars := map[string]cty.Value{}
	for name, v := range p.variables {
		vars[name] = v.value
	}
	return &hcl.EvalContext{
		Functions: p.functions,
		Variables: map[string]cty.Value{"var": cty.ObjectVal(vars), "local": cty.ObjectVal(p.locals)},
	}
}

// value evaluates an expression. References to what only the node knows, such
// as ${attr.cpu.arch} or ${NOMAD_ALLOC_INDEX}, stay as they are written.
func (p *jobParser) value(expr hcl.Expression, ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	runtime := &refTree{}
	for _, t := range expr.Variables() {
		if !t.IsRelative() && !inScope(ctx, t.RootName()) {
			runtime.add(t, p.sourceOf(t))
		}
	}
	if runtime.children == nil {
		return expr.Value(ctx)
	}
	child := ctx.NewChild()
	child.Variables = map[string]cty.Value{}
	for name, c := range runtime.children {
		child.Variables[name] = c.value()
	}
	return expr.Value(child)
}

func inScope(ctx *hcl.EvalContext, name string) bool {
	for c := ctx; c != nil; c = c.Parent() {
		if _, ok := c.Variables[name]; ok {
			return true
		}
	}
	return false
}

func (p *jobParser) sourceOf(t hcl.Traversal) string {
	r := t.SourceRange()
	if r.CanSliceBytes(p.src) {
		return "${" + string(r.SliceBytes(p.src)) + "}"
	}
	return "${" + t.RootName() + "}"
}

// refTree makes values for references to the node: an object for each step
// and the reference's own text at its end.
type refTree struct {
	text     string
	children map[string]*refTree
}

func (r *refTree) add(t hcl.Traversal, text string) {
	for _, step := range t {
		name := ""
		switch s := step.(type) {
		case hcl.TraverseRoot:
			name = s.Name
		case hcl.TraverseAttr:
			name = s.Name
		case hcl.TraverseIndex:
			if k, err := convert.Convert(s.Key, cty.String); err == nil && k.IsKnown() && !k.IsNull() {
				name = k.AsString()
			}
		}
		if r.children == nil {
			r.children = map[string]*refTree{}
		}
		if r.children[name] == nil {
			r.children[name] = &refTree{}
		}
		r = r.children[name]
	}
	r.text = text
}

func (r *refTree) value() cty.Value {
	if r.children == nil {
		return cty.StringVal(r.text)
	}
	attrs := map[string]cty.Value{}
	names := make([]string, 0, len(r.children))
	for name := range r.children {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		attrs[name] = r.children[name].value()
	}
	return cty.ObjectVal(attrs)
}
