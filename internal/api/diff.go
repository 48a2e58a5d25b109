package api

import (
	"cmp"
	"context"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

type diffInput struct {
	A string `query:"a" required:"true" maxLength:"200" doc:"One side: run:r-0123456789, template:my-7B, template:my-7B@2 or preset:7B"`
	B string `query:"b" required:"true" maxLength:"200" doc:"The other side"`
}

type diffOutput struct {
	Body Diff
}

// Diff is how one side differs from another.
type Diff struct {
	A       string   `json:"a"`
	B       string   `json:"b"`
	Changes []Change `json:"changes" nullable:"false" doc:"Fields that differ, in the order of the form; values that mean the same are no change"`
}

// Change is a field in which the two sides differ.
type Change struct {
	Field  string `json:"field"`
	Label  string `json:"label"`
	Before string `json:"before" doc:"On side a; empty when it is not set"`
	After  string `json:"after" doc:"On side b; empty when it is not set"`
}

func (s *server) diff(ctx context.Context, in *diffInput) (*diffOutput, error) {
	var sides [2]base
	var bad []run.FieldError
	var missing *fault.Error
	for i, side := range []struct{ field, ref string }{{"a", in.A}, {"b", in.B}} {
		b, err := s.refBase(ctx, side.field, side.ref)
		none, err := asMissing(err)
		switch errs := trainconf.AsFieldErrors(err); {
		case none != nil:
			missing = cmp.Or(missing, none)
			_, name, _ := strings.Cut(side.ref, ":")
			bad = append(bad, missingField(side.field, name, none))
		case errs != nil:
			bad = append(bad, errs...)
		case err != nil:
			return nil, err
		}
		sides[i] = b
	}
	switch {
	case missing != nil:
		p := problemOf(missing)
		if len(bad) > 1 {
			p.Errors = invalid("query", bad...).Errors
		}
		return nil, p
	case len(bad) > 0:
		return nil, invalid("query", bad...)
	}
	out := Diff{A: in.A, B: in.B, Changes: []Change{}}
	for _, c := range sides[1].request.Changes(sides[0].request) {
		if c.Field == trainconf.FieldName && (sides[0].request.Name == "" || sides[1].request.Name == "") {
			continue // only runs have one
		}
		out.Changes = append(out.Changes, Change(c))
	}
	return &diffOutput{out}, nil
}
