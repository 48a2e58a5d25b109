package localnomad

import (
	"fmt"
	"reflect"
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
	if p.meter.spend(blockCost) != nil {
		return p.meter.diags(body.MissingItemRange())
	}
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
	switch out := out.(type) {
	case *api.TaskGroup:
		vault, body, diags = p.groupVault(body, ctx)
	case *api.Task:
		out.ScalingPolicies, body, diags = p.taskScaling(body, ctx)
		fields = without(fields, "scaling")
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
	if tg, ok := out.(*api.TaskGroup); ok {
		for _, t := range tg.Tasks {
			if t.Vault == nil {
				t.Vault = vault
			}
		}
		diags = append(diags, checkScaling(tg.Scaling, body)...)
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
	attrs, more := freeAttributes(body)
	diags = append(diags, more...)
	for name, a := range attrs {
		item := reflect.New(fv.Type().Elem()).Elem()
		diags = append(diags, p.decodeAttr(a.Expr, ctx, item)...)
		m.SetMapIndex(reflect.ValueOf(name), item)
	}
	fv.Set(m)
	return diags
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
