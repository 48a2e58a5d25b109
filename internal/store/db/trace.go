package db

import "context"

type traceKey struct{}

// Trace returns a context whose statements are told to fn as they are sent to the database.
func Trace(ctx context.Context, fn func(query string, args []any)) context.Context {
	return context.WithValue(ctx, traceKey{}, fn)
}

func trace(ctx context.Context, query string, args []any) {
	if fn, ok := ctx.Value(traceKey{}).(func(string, []any)); ok {
		fn(query, args)
	}
}
