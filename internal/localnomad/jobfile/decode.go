package jobfile

import (
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
)

// field is one field of a wire type that a job file can set.
type field struct {
	index    int
	name     string
	block    bool
	required bool
}

// fieldsOf reads the hcl tags of a wire type. label is the index of the field that takes the block's label, or -1.
func fieldsOf(t reflect.Type) (fields []field, label int) {
	label = -1
	for i := range t.NumField() {
		name, kind, _ := strings.Cut(t.Field(i).Tag.Get("hcl"), ",")
		switch {
		case kind == "label":
			label = i
		case name != "":
			fields = append(fields, field{index: i, name: name, block: kind == "block", required: kind == ""})
		}
	}
	return fields, label
}

// elem returns the struct type that a block field holds, or nil for a map of plain values.
func elem(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct {
		return t
	}
	return nil
}

// decodeStruct decodes a body into a wire type by its tags. out is a pointer to a struct.
func (p *parser) decodeStruct(body hcl.Body, ctx *hcl.EvalContext, out any) hcl.Diagnostics {
	v := reflect.ValueOf(out).Elem()
	fields, _ := fieldsOf(v.Type())
	var vault *api.Vault
	var diags hcl.Diagnostics
	switch out := out.(type) {
	case *api.Constraint:
		return decodeConstraint(body, ctx, &out.LTarget, &out.RTarget, &out.Operand)
	case *api.Affinity:
		content, rest, diags := body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "weight"}}})
		if w := content.Attributes["weight"]; w != nil {
			diags = append(diags, decodeAttr(w.Expr, ctx, reflect.ValueOf(&out.Weight).Elem())...)
		}
		return append(diags, decodeConstraint(rest, ctx, &out.LTarget, &out.RTarget, &out.Operand)...)
	case *api.Job:
		fields = without(fields, "task", "vault") // have been taken out
	case *api.TaskGroup:
		vault, body, diags = p.groupVault(body, ctx)
	case *api.Task:
		out.ScalingPolicies, body, diags = p.taskScaling(body, ctx)
		fields = without(fields, "scaling")
	}
	content, more := body.Content(schemaOf(v.Type(), fields))
	diags = append(diags, more...)
	seen := map[string]hcl.Range{}
	for _, f := range fields {
		if a := content.Attributes[f.name]; a != nil && f.block {
			diags = append(diags, decodeMapAttr(a, ctx, v.Field(f.index))...)
		} else if a != nil {
			diags = append(diags, decodeAttr(a.Expr, ctx, v.Field(f.index))...)
		}
		for _, b := range content.Blocks {
			if f.block && f.name == b.Type {
				diags = append(diags, p.decodeBlock(b, ctx, v.Field(f.index), seen)...)
			}
		}
	}
	if tg, ok := out.(*api.TaskGroup); ok {
		for _, t := range tg.Tasks {
			if t.Vault == nil {
				t.Vault = vault
			}
		}
		if tg.Scaling != nil && tg.Scaling.Type == "" {
			tg.Scaling.Type = "horizontal"
		}
	}
	return diags
}

func without(fields []field, names ...string) []field {
	return slices.DeleteFunc(fields, func(f field) bool { return slices.Contains(names, f.name) })
}

// groupVault takes the vault block out of a group's body: it is meant for the tasks.
func (p *parser) groupVault(body hcl.Body, ctx *hcl.EvalContext) (*api.Vault, hcl.Body, hcl.Diagnostics) {
	content, rest, diags := body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "vault"}}})
	if len(content.Blocks) == 0 {
		return nil, rest, diags
	}
	v := &api.Vault{}
	return v, rest, append(diags, p.decodeStruct(content.Blocks[0].Body, ctx, v)...)
}

// taskScaling takes the scaling blocks out of a task's body: their label says what they scale.
func (p *parser) taskScaling(body hcl.Body, ctx *hcl.EvalContext) ([]*api.ScalingPolicy, hcl.Body, hcl.Diagnostics) {
	content, rest, diags := body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "scaling", LabelNames: []string{"name"}}}})
	var out []*api.ScalingPolicy
	for _, b := range content.Blocks {
		policy := &api.ScalingPolicy{Type: "vertical_" + strings.ToLower(b.Labels[0])}
		diags = append(diags, p.decodeStruct(b.Body, ctx, policy)...)
		out = append(out, policy)
	}
	return out, rest, diags
}

// decodeConstraint understands the short forms: regexp = "..." and the like.
func decodeConstraint(body hcl.Body, ctx *hcl.EvalContext, left, right, operand *string) hcl.Diagnostics {
	texts := []string{
		api.ConstraintVersion, api.ConstraintSemver, api.ConstraintRegex, api.ConstraintSetContains, api.ConstraintSetContainsAll,
		api.ConstraintSetContainsAny, api.ConstraintDistinctHosts, api.ConstraintDistinctProperty,
	}
	schema := &hcl.BodySchema{}
	for _, n := range append([]string{"attribute", "value", "operator"}, texts...) {
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: n})
	}
	content, diags := body.Content(schema)
	set := map[string]string{}
	for name, a := range content.Attributes {
		var text string
		diags = append(diags, decodeAttr(a.Expr, ctx, reflect.ValueOf(&text).Elem())...)
		set[name] = text
	}
	*left, *right, *operand = set["attribute"], set["value"], set["operator"]
	for _, op := range texts {
		switch v := set[op]; {
		case v == "":
		case op == api.ConstraintDistinctProperty:
			*operand, *left = op, v
		default:
			*operand, *right = op, v
		}
	}
	if *operand == "" {
		*operand = "="
	}
	return diags
}

func schemaOf(owner reflect.Type, fields []field) *hcl.BodySchema {
	schema := &hcl.BodySchema{}
	for _, f := range fields {
		if !f.block {
			schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: f.name, Required: f.required})
			continue
		}
		block := hcl.BlockHeaderSchema{Type: f.name}
		if e := elem(owner.Field(f.index).Type); e == nil {
			// A map may also be written as an attribute, which allows any key.
			schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: f.name})
		} else if _, label := fieldsOf(e); label >= 0 {
			block.LabelNames = []string{"name"}
		}
		schema.Blocks = append(schema.Blocks, block)
	}
	return schema
}

// decodeBlock decodes one block into a field: a struct, a pointer to one, a list or a map of them, or a map of plain values.
func (p *parser) decodeBlock(b *hcl.Block, ctx *hcl.EvalContext, fv reflect.Value, seen map[string]hcl.Range) hcl.Diagnostics {
	e := elem(fv.Type())
	if single := fv.Kind() == reflect.Pointer || fv.Kind() == reflect.Struct || e == nil; single {
		if prev, dup := seen[b.Type]; dup {
			return wrong(b.DefRange, "Duplicate "+b.Type+" block", "Only one %s block is allowed. Another was defined at %s.", b.Type, prev)
		}
		seen[b.Type] = b.DefRange
	}
	if e == nil {
		return p.decodeMapBlock(b.Body, ctx, fv)
	}
	item := reflect.New(e)
	if _, label := fieldsOf(e); label >= 0 && len(b.Labels) > 0 {
		name := reflect.ValueOf(&b.Labels[0])
		if f := item.Elem().Field(label); f.Kind() == reflect.Pointer {
			f.Set(name)
		} else {
			f.Set(name.Elem())
		}
	}
	diags := p.decodeStruct(b.Body, ctx, item.Interface())
	switch fv.Kind() {
	case reflect.Pointer:
		fv.Set(item)
	case reflect.Struct:
		fv.Set(item.Elem())
	case reflect.Slice:
		if fv.Type().Elem().Kind() != reflect.Pointer {
			item = item.Elem()
		}
		fv.Set(reflect.Append(fv, item))
	case reflect.Map:
		if fv.IsNil() {
			fv.Set(reflect.MakeMap(fv.Type()))
		}
		fv.SetMapIndex(reflect.ValueOf(b.Labels[0]), item)
	}
	return diags
}

// decodeMapBlock decodes a block whose keys are free: meta, env, config.
func (p *parser) decodeMapBlock(body hcl.Body, ctx *hcl.EvalContext, fv reflect.Value) hcl.Diagnostics {
	if fv.Type().Elem().Kind() == reflect.Interface {
		values, diags := p.freeBody(body, ctx)
		fv.Set(reflect.ValueOf(values))
		return diags
	}
	fv.Set(reflect.MakeMap(fv.Type()))
	attrs, diags := freeAttributes(body)
	for name, a := range attrs {
		item := reflect.New(fv.Type().Elem()).Elem()
		diags = append(diags, decodeAttr(a.Expr, ctx, item)...)
		fv.SetMapIndex(reflect.ValueOf(name), item)
	}
	return diags
}

// decodeMapAttr decodes meta = { ... } where a block is the usual form.
func decodeMapAttr(a *hcl.Attribute, ctx *hcl.EvalContext, fv reflect.Value) hcl.Diagnostics {
	if fv.Type().Elem().Kind() != reflect.Interface {
		return decodeAttr(a.Expr, ctx, fv)
	}
	v, diags := a.Expr.Value(ctx)
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
