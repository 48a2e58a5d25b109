// Package logparse turns one line of a worker's output into at most one [run.Sample] or [Event].
//
// It knows CotrainCore's own lines ("HH:MM:SS [LEVEL] [Rank R] message") and machine lines ("COTRAIN {json}",
// printed by the launch script, the metrics shim and the reference trainer). Everything else is nothing: a line is
// taken only when it is surely a record, because a missing point is better than a wrong one.
//
// The package is pure: no I/O, no clock, no memory but [State]. What it reads is untrusted, so work per line, names,
// texts and counts are all bounded.
package logparse
