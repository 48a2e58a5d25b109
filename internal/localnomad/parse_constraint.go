package localnomad

import (
	"reflect"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
)

// shortForms are the operators that constraint and affinity blocks may name
// as an attribute. The last two only work in affinities, as in Nomad.
func shortForms() []string {
	return []string{
		api.ConstraintVersion, api.ConstraintSemver, api.ConstraintRegex, api.ConstraintSetContains,
		api.ConstraintSetContainsAll, api.ConstraintSetContainsAny,
	}
}

// decodeConstraint understands the short forms: regexp = "..." and the like.
func (p *jobParser) decodeConstraint(body hcl.Body, ctx *hcl.EvalContext, c *api.Constraint) hcl.Diagnostics {
	names := append([]string{
		"attribute", "value", "operator", api.ConstraintDistinctHosts, api.ConstraintDistinctProperty,
		api.ConstraintAttributeIsSet, api.ConstraintAttributeIsNotSet,
	}, shortForms()...)
	set, diags := p.decodeStrings(body, ctx, names)
	c.LTarget, c.RTarget, c.Operand = set["attribute"], set["value"], set["operator"]
	for _, op := range shortForms()[:4] {
		if v := set[op]; v != "" {
			c.Operand, c.RTarget = op, v
		}
	}
	if v := set[api.ConstraintDistinctHosts]; v != "" {
		c.Operand, c.RTarget = api.ConstraintDistinctHosts, v
	}
	if v := set[api.ConstraintDistinctProperty]; v != "" {
		c.Operand, c.LTarget = api.ConstraintDistinctProperty, v
	}
	if c.Operand == "" {
		c.Operand = "="
	}
	return diags
}

func (p *jobParser) decodeAffinity(body hcl.Body, ctx *hcl.EvalContext, a *api.Affinity) hcl.Diagnostics {
	content, rest, diags := body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "weight"}}})
	if w := content.Attributes["weight"]; w != nil {
		diags = append(diags, p.decodeAttr(w.Expr, ctx, reflect.ValueOf(&a.Weight).Elem())...)
	}
	set, more := p.decodeStrings(rest, ctx, append([]string{"attribute", "value", "operator"}, shortForms()...))
	diags = append(diags, more...)
	a.LTarget, a.RTarget, a.Operand = set["attribute"], set["value"], set["operator"]
	for _, op := range shortForms() {
		if v := set[op]; v != "" {
			a.Operand, a.RTarget = op, v
		}
	}
	if a.Operand == "" {
		a.Operand = "="
	}
	return diags
}

func (p *jobParser) decodeStrings(body hcl.Body, ctx *hcl.EvalContext, names []string) (map[string]string, hcl.Diagnostics) {
	schema := &hcl.BodySchema{}
	for _, n := range names {
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: n})
	}
	content, diags := body.Content(schema)
	set := map[string]string{}
	for name, a := range content.Attributes {
		var text string
		diags = append(diags, p.decodeAttr(a.Expr, ctx, reflect.ValueOf(&text).Elem())...)
		set[name] = text
	}
	return set, diags
}
