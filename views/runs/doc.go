// Package runs is the pages of runs: the list, one run, and how its workers are started.
package runs
