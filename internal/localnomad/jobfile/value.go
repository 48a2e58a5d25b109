package jobfile

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/gocty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// decodeAttr evaluates an expression into a field. null leaves it unset.
func decodeAttr(expr hcl.Expression, ctx *hcl.EvalContext, fv reflect.Value) hcl.Diagnostics {
	v, diags := expr.Value(ctx)
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
	text, err := ctyjson.Marshal(v, v.Type())
	if err != nil {
		return nil, err
	}
	var out any
	err = json.Unmarshal(text, &out)
	return out, err
}
