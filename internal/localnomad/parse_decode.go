package localnomad

import (
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/gocty"
)

// field is one field of a wire type that a job file can set.
type field struct {
	index    int
	name     string
	block    bool
	required bool
}

// fieldsOf reads the hcl tags of a wire type. label is the index of the field
// that takes the block's label, or -1.
func fieldsOf(t reflect.Type) (fields []field, label int) {
	label = -1
	for i := range t.NumField() {
		tag, ok := t.Field(i).Tag.Lookup("hcl")
		if !ok {
			continue
		}
		name, kind, _ := strings.Cut(tag, ",")
		switch kind {
		case "label":
			label = i
		case "block":
			fields = append(fields, field{index: i, name: name, block: true})
		case "optional":
			fields = append(fields, field{index: i, name: name})
		case "":
			fields = append(fields, field{index: i, name: name, required: true})
		}
	}
	return fields, label
}

// elem returns the struct type that a block field holds, or nil for a map of
// plain values.
func elem(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct {
		return t
	}
	return nil
}

// decodeStruct decodes a body into a wire type by its tags. out is a pointer
// to a struct.
func (p *jobParser) decodeStruct(body hcl.Body, ctx *hcl.EvalContext, out any) hcl.Diagnostics {
	if c, ok := out.(*api.Constraint); ok {
		return p.decodeConstraint(body, ctx, c)
	}
	if a, ok := out.(*api.Affinity); ok {
		return p.decodeAffinity(body, ctx, a)
	}
	v := reflect.ValueOf(out).Elem()
	fields, _ := fieldsOf(v.Type())
	if v.Type() == reflect.TypeFor[api.Job]() {
		fields = without(fields, "task", "vault")
	}
	var vault *api.Vault
	var diags hcl.Diagnostics
	if _, ok := out.(*api.TaskGroup); ok {
		vault, body, diags = p.groupVault(body, ctx)
	}
	content, more := body.Content(schemaOf(v.Type(), fields))
	diags = append(diags, more...)
	for _, f := range fields {
		if a := content.Attributes[f.name]; a != nil {
			if f.block {
				diags = append(diags, p.decodeMapAttr(a, ctx, v.Field(f.index))...)
			} else {
				diags = append(diags, p.decodeAttr(a.Expr, ctx, v.Field(f.index))...)
			}
		}
	}
	seen := map[string]hcl.Range{}
	for _, b := range content.Blocks {
		for _, f := range fields {
			if f.block && f.name == b.Type {
				diags = append(diags, p.decodeBlock(b, ctx, v.Field(f.index), seen)...)
			}
		}
	}
	if tg, ok := out.(*api.TaskGroup); ok && vault != nil {
		for _, t := range tg.Tasks {
			if t.Vault == nil {
				t.Vault = vault
			}
		}
	}
	return diags
}

func without(fields []field, names ...string) []field {
	kept := fields[:0:0]
	for _, f := range fields {
		drop := false
		for _, n := range names {
			drop = drop || f.name == n
		}
		if !drop {
			kept = append(kept, f)
		}
	}
	return kept
}

// groupVault takes the vault block out of a group's body: it is meant for the tasks.
func (p *jobParser) groupVault(body hcl.Body, ctx *hcl.EvalContext) (*api.Vault, hcl.Body, hcl.Diagnostics) {
	content, rest, diags := body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "vault"}}})
	if len(content.Blocks) == 0 {
		return nil, rest, diags
	}
	v := &api.Vault{}
	return v, rest, append(diags, p.decodeStruct(content.Blocks[0].Body, ctx, v)...)
}

func schemaOf(owner reflect.Type, fields []field) *hcl.BodySchema {
	schema := &hcl.BodySchema{}
	for _, f := range fields {
		t := owner.Field(f.index).Type
		if !f.block {
			schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: f.name, Required: f.required})
			continue
		}
		block := hcl.BlockHeaderSchema{Type: f.name}
		if e := elem(t); e != nil {
			if _, label := fieldsOf(e); label >= 0 {
				block.LabelNames = []string{"name"}
			}
		} else {
			// A map may also be written as an attribute, which allows any key.
			schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: f.name})
		}
		schema.Blocks = append(schema.Blocks, block)
	}
	return schema
}

// decodeBlock decodes one block into a field: a struct, a pointer to one, a
// list or a map of them, or a map of plain values.
func (p *jobParser) decodeBlock(b *hcl.Block, ctx *hcl.EvalContext, fv reflect.Value, seen map[string]hcl.Range) hcl.Diagnostics {
	e := elem(fv.Type())
	if single := fv.Kind() == reflect.Pointer || fv.Kind() == reflect.Struct || e == nil; single {
		if prev, dup := seen[b.Type]; dup {
			return hcl.Diagnostics{{
				Severity: hcl.DiagError, Summary: fmt.Sprintf("Duplicate %s block", b.Type), Subject: &b.DefRange,
				Detail: fmt.Sprintf("Only one %s block is allowed. Another was defined at %s.", b.Type, prev),
			}}
		}
		seen[b.Type] = b.DefRange
	}
	if e == nil {
		return p.decodeMapBlock(b.Body, ctx, fv)
	}
	item := reflect.New(e)
	if _, label := fieldsOf(e); label >= 0 && len(b.Labels) > 0 {
		setString(item.Elem().Field(label), b.Labels[0])
	}
	diags := p.decodeStruct(b.Body, ctx, item.Interface())
	switch fv.Kind() {
	case reflect.Pointer:
		fv.Set(item)
	case reflect.Struct:
		fv.Set(item.Elem())
	case reflect.Slice:
		if fv.Type().Elem().Kind() == reflect.Pointer {
			fv.Set(reflect.Append(fv, item))
		} else {
			fv.Set(reflect.Append(fv, item.Elem()))
		}
	case reflect.Map:
		if fv.IsNil() {
			fv.Set(reflect.MakeMap(fv.Type()))
		}
		if len(b.Labels) > 0 {
			fv.SetMapIndex(reflect.ValueOf(b.Labels[0]), item)
		}
	}
	return diags
}

func setString(v reflect.Value, text string) {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.ValueOf(&text))
		return
	}
	v.SetString(text)
}

// decodeMapBlock decodes a block whose keys are free: meta, env, config.
func (p *jobParser) decodeMapBlock(body hcl.Body, ctx *hcl.EvalContext, fv reflect.Value) hcl.Diagnostics {
	m := reflect.MakeMap(fv.Type())
	var diags hcl.Diagnostics
	if fv.Type().Elem().Kind() == reflect.Interface {
		values, more := p.freeBody(body, ctx)
		for k, v := range values {
			m.SetMapIndex(reflect.ValueOf(k), reflect.ValueOf(&v).Elem())
		}
		fv.Set(m)
		return more
	}
	attrs, more := body.JustAttributes()
	diags = append(diags, more...)
	for name, a := range attrs {
		item := reflect.New(fv.Type().Elem()).Elem()
		diags = append(diags, p.decodeAttr(a.Expr, ctx, item)...)
		m.SetMapIndex(reflect.ValueOf(name), item)
	}
	fv.Set(m)
	return diags
}

// freeBody decodes a driver's configuration: attributes, and blocks as lists
// of maps.
func (p *jobParser) freeBody(body hcl.Body, ctx *hcl.EvalContext) (map[string]any, hcl.Diagnostics) {
	out := map[string]any{}
	schema := &hcl.BodySchema{}
	for _, t := range p.configBlocks {
		schema.Blocks = append(schema.Blocks, hcl.BlockHeaderSchema{Type: t})
	}
	content, rest, diags := body.PartialContent(schema)
	for _, b := range content.Blocks {
		inner, more := p.freeBody(b.Body, ctx)
		diags = append(diags, more...)
		list, _ := out[b.Type].([]map[string]any)
		out[b.Type] = append(list, inner)
	}
	attrs, more := rest.JustAttributes()
	if len(content.Blocks) == 0 {
		diags = append(diags, more...) // else it complains about the blocks that were just taken out
	}
	for name, a := range attrs {
		v, more := p.value(a.Expr, ctx)
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

// decodeMapAttr decodes meta = { ... } where a block is the usual form.
func (p *jobParser) decodeMapAttr(a *hcl.Attribute, ctx *hcl.EvalContext, fv reflect.Value) hcl.Diagnostics {
	if fv.Type().Elem().Kind() != reflect.Interface {
		return p.decodeAttr(a.Expr, ctx, fv)
	}
	v, diags := p.value(a.Expr, ctx)
	if diags.HasErrors() {
		return diags
	}
	plain, err := plainValue(v)
	m, ok := plain.(map[string]any)
	if err != nil || !ok {
		return append(diags, unsuitable(a.Expr, "a map is required"))
	}
	fv.Set(reflect.ValueOf(m))
	return diags
}

// decodeAttr evaluates an expression into a field. null leaves it unset.
func (p *jobParser) decodeAttr(expr hcl.Expression, ctx *hcl.EvalContext, fv reflect.Value) hcl.Diagnostics {
	v, diags := p.value(expr, ctx)
	if diags.HasErrors() || v.IsNull() {
		return diags
	}
	if !v.IsWhollyKnown() {
		return append(diags, unsuitable(expr, "value is not known"))
	}
	t := fv.Type()
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	target := reflect.New(t)
	if t == reflect.TypeFor[time.Duration]() {
		d, err := duration(v)
		if err != nil {
			return append(diags, unsuitable(expr, "Unsuitable duration value: "+err.Error()))
		}
		target.Elem().SetInt(int64(d))
	} else {
		want, err := gocty.ImpliedType(target.Elem().Interface())
		if err != nil {
			return append(diags, unsuitable(expr, err.Error()))
		}
		converted, err := convert.Convert(v, want)
		if err != nil {
			return append(diags, unsuitable(expr, "Unsuitable value: "+err.Error()))
		}
		if err := gocty.FromCtyValue(converted, target.Interface()); err != nil {
			return append(diags, unsuitable(expr, "Unsuitable value: "+err.Error()))
		}
	}
	if fv.Kind() == reflect.Pointer {
		fv.Set(target)
	} else {
		fv.Set(target.Elem())
	}
	return diags
}

func unsuitable(expr hcl.Expression, detail string) *hcl.Diagnostic {
	return &hcl.Diagnostic{
		Severity: hcl.DiagError, Summary: "Unsuitable value type", Detail: detail,
		Subject: expr.StartRange().Ptr(), Context: expr.Range().Ptr(),
	}
}

func duration(v cty.Value) (time.Duration, error) {
	switch v.Type() {
	case cty.String:
		return time.ParseDuration(v.AsString())
	case cty.Number:
		n, _ := v.AsBigFloat().Int64()
		return time.Duration(n), nil
	}
	return 0, fmt.Errorf("expected a string but found %s", v.Type().FriendlyName())
}

// plainValue converts to what JSON can hold.
func plainValue(v cty.Value) (any, error) {
	if v.IsNull() {
		return nil, nil
	}
	if !v.IsKnown() {
		return nil, fmt.Errorf("value is not known")
	}
	switch t := v.Type(); {
	case t == cty.String:
		return v.AsString(), nil
	case t == cty.Bool:
		return v.True(), nil
	case t == cty.Number:
		f := v.AsBigFloat()
		if i, acc := f.Int64(); acc == big.Exact {
			return i, nil
		}
		x, _ := f.Float64()
		return x, nil
	case t.IsListType() || t.IsTupleType() || t.IsSetType():
		out := []any{}
		for it := v.ElementIterator(); it.Next(); {
			_, e := it.Element()
			plain, err := plainValue(e)
			if err != nil {
				return nil, err
			}
			out = append(out, plain)
		}
		return out, nil
	case t.IsMapType() || t.IsObjectType():
		out := map[string]any{}
		for it := v.ElementIterator(); it.Next(); {
			k, e := it.Element()
			plain, err := plainValue(e)
			if err != nil {
				return nil, err
			}
			out[k.AsString()] = plain
		}
		return out, nil
	}
	return nil, fmt.Errorf("cannot serialize %s", v.Type().FriendlyName())
}

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
