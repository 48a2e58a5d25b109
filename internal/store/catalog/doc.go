// Package catalog is what lists of runs are filtered, searched and sorted by, in memory: a short row a run, so that any filter and order of
// a hundred thousand runs takes milliseconds. It does no I/O: package store reads the rows, and follows their changes.
package catalog
