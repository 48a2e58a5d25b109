package api

import (
	"cmp"
	"context"
	"strings"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

func (s *server) diff(ctx context.Context, in *client.DiffQuery) (out client.Diff, err error) {
	var sides [2]trainconf.Start
	var bad []run.FieldError
	var missing *fault.Error
	for i, side := range []struct{ field, ref string }{{"a", in.A}, {"b", in.B}} {
		b, err := s.base(ctx, in.Project, side.field, side.ref)
		none, err := asMissing(err)
		switch errs := trainconf.AsFieldErrors(err); {
		case none != nil:
			missing = cmp.Or(missing, none)
			_, name, _ := strings.Cut(side.ref, ":")
			bad = append(bad, missingField(side.field, name, none))
		case errs != nil:
			bad = append(bad, errs...)
		case err != nil:
			return out, err
		}
		sides[i] = b
	}
	switch {
	case missing != nil:
		p := problemOf(missing)
		if len(bad) > 1 {
			p.Errors = invalid("query", bad...).Errors
		}
		return out, p
	case len(bad) > 0:
		return out, invalid("query", bad...)
	}
	out = client.Diff{A: in.A, B: in.B, Changes: []trainconf.Change{}}
	for _, c := range sides[1].Request.Changes(sides[0].Request) {
		if c.Field == trainconf.FieldName && (sides[0].Request.Name == "" || sides[1].Request.Name == "") {
			continue // only runs have one
		}
		out.Changes = append(out.Changes, c)
	}
	return out, nil
}
