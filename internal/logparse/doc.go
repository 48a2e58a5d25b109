// Package logparse turns one line of a worker's output into at most one [run.Sample] or [Event].
//
// It knows CotrainCore's lines ("HH:MM:SS [LEVEL] [Rank R] message") and machine lines ("COTRAIN {json}" of the launch
// script, the metrics shim and the reference trainer). Other lines are ignored: a missing point is better than a wrong
// one.
//
// The package is pure: no I/O, no clock, no memory but [State]. Its input is untrusted, so work, names, texts and counts
// are bounded.
package logparse
