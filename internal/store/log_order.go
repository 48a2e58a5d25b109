package store

import (
	"context"
	"runtime"
)

// inOrder calls work for the numbers below n, as many at once as there are processors, and done with each result in their order. It
// returns the first error, and not before all work has ended.
func inOrder[T any](ctx context.Context, n int, work func(ctx context.Context, i int) (T, error), done func(i int, result T) error) error {
	type result struct {
		value T
		err   error
	}
	ctx, cancel := context.WithCancel(ctx)
	results := make(chan chan result, runtime.GOMAXPROCS(0)-1)
	go func() {
		defer close(results)
		for i := range n {
			one := make(chan result, 1)
			select {
			case results <- one:
			case <-ctx.Done():
				return
			}
			go func() {
				value, err := work(ctx, i)
				one <- result{value, err}
			}()
		}
	}()
	var failed error
	i := 0
	for one := range results {
		r := <-one
		if failed == nil {
			failed = r.err
		}
		if failed == nil {
			failed = done(i, r.value)
		}
		if failed != nil {
			cancel()
		}
		i++
	}
	if failed == nil {
		failed = ctx.Err()
	}
	cancel()
	return failed
}
