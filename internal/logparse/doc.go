// Package logparse turns one line of a worker's output into at most one [run.Sample] or [Event].
//
// It knows CotrainCore's lines ("HH:MM:SS [LEVEL] [Rank R] message"), machine lines ("COTRAIN {json}" of the launch script, the
// metrics shim and the reference trainer), and the records of other trainers: one small parser per format, in the table of
// formats.go, after the head that loggers and launchers print is stripped. A site adds formats of its own, see [SiteFormat]. Other
// lines are ignored: a missing point is better than a wrong one. So a stream with records of a structured format is not read by a
// looser one, and one with CotrainCore's by no other.
//
// Names that trainers share become one ("lr" is learning_rate), see [Shared]; others stay as printed. A sample has the step that its
// line tells, a whole number, and none otherwise. Steps that start again with each epoch come with [Result.Before]; the step of
// samples whose lines tell none, as Hugging Face's, may be that of a progress bar between them, see [Parser.Step].
//
// The package is pure: no I/O, no clock, no memory but [State]. Its input is untrusted, so work, names, texts and counts are bounded.
package logparse
