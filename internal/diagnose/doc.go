// Package diagnose says why a process failed, from its output and from how it ended.
//
// A [Scanner] reads output of any size once, line by line, in linear time; it keeps a few sightings per rule and nothing else.
// [Scanner.Cause] weighs them at any moment, together with an [Exit]. Rules are data: rules/*.toml, one file a family, which
// [Rules.With] extends and overrides. docs/development.md tells how to add one.
//
// How a cause is found. A rule has texts, of which one must stand in a line: all lines are searched for all texts at once, and
// only where one is found, regular expressions (RE2) look closer. What a rule sees counts by its weight, more where it ends a
// process (an uncaught exception, CotrainCore's fatal error, which is logged at INFO), less in a warning or before further steps, and
// not at all where it was handled: retried, skipped, replaced, or followed by a sign of recovery. Source lines that a traceback quotes,
// help texts, dumps of configurations and quoted samples are not read. A process that ended well has a cause only in what spoils that end. A failure of communication is an echo of somebody else's end: it is the cause only where nothing else is.
//
// The package is pure: no I/O, no clock. Its input is untrusted, so work, memory and texts are bounded.
package diagnose
