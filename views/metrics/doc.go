// Package metrics renders the curves of a run: a curated row, then every metric by group.
package metrics
