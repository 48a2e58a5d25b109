package jobfile

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// referencesRoot is the variable that holds references to the node; no file can name it.
const referencesRoot = "${}"

// evalContext is what expressions of the job see.
func (p *parser) evalContext() *hcl.EvalContext {
	vars := map[string]cty.Value{}
	for name, v := range p.variables {
		vars[name] = v.value
	}
	return &hcl.EvalContext{Functions: p.functions, Variables: map[string]cty.Value{
		"var": cty.ObjectVal(vars), "local": cty.ObjectVal(p.locals), referencesRoot: cty.ObjectVal(p.references),
	}}
}

// keeper makes references to what only the node knows, such as ${attr.cpu.arch} or ${NOMAD_ALLOC_INDEX}, values of their own:
// the text as it is written.
type keeper struct {
	p      *parser
	names  []string // in scope: variables, iterators of dynamic blocks, variables of for expressions
	before []int    // how many there were outside of each node
}

// Enter is for hclsyntax.
func (k *keeper) Enter(n hclsyntax.Node) hcl.Diagnostics {
	k.before = append(k.before, len(k.names))
	switch e := n.(type) {
	case *hclsyntax.ForExpr:
		k.names = append(k.names, e.KeyVar, e.ValVar)
	case *hclsyntax.Block:
		if e.Type == "dynamic" && len(e.Labels) == 1 {
			k.names = append(k.names, e.Labels[0])
			if a := e.Body.Attributes["iterator"]; a != nil {
				k.names = append(k.names, hcl.ExprAsKeyword(a.Expr))
			}
		}
	case *hclsyntax.ScopeTraversalExpr:
		if at := e.Traversal.SourceRange(); !slices.Contains(k.names, e.Traversal.RootName()) {
			text := "${" + string(at.SliceBytes(k.p.src)) + "}"
			k.p.references[text] = cty.StringVal(text)
			e.Traversal = hcl.Traversal{hcl.TraverseRoot{Name: referencesRoot, SrcRange: at}, hcl.TraverseAttr{Name: text, SrcRange: at}}
		}
	}
	return nil
}

// Exit is for hclsyntax.
func (k *keeper) Exit(hclsyntax.Node) hcl.Diagnostics {
	last := len(k.before) - 1
	k.names, k.before = k.names[:k.before[last]], k.before[:last]
	return nil
}
