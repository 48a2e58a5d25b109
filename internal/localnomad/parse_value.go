package localnomad

import (
	"fmt"
	"math/big"
	"reflect"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/gocty"
)

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
		maps := make([]map[string]any, 0, v.LengthInt()) // a list of nothing but objects is what blocks are
		for it := v.ElementIterator(); it.Next(); {
			_, e := it.Element()
			plain, err := plainValue(e)
			if err != nil {
				return nil, err
			}
			out = append(out, plain)
			if m, ok := plain.(map[string]any); ok {
				maps = append(maps, m)
			}
		}
		if len(maps) > 0 && len(maps) == len(out) {
			return maps, nil
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
