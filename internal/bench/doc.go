// Package bench holds the benchmarks of whole paths, each beside a named baseline in the same run. They are tests
// only: see make bench.
package bench
