// Package rhythm learns how fast the workers of a run report steps and how its loss moves, and says what is out of the ordinary: a
// worker that hangs or is slow, a loss that diverges or no longer falls. It does no I/O and reads no clock. docs/failures.md states the
// rules with their measured rates of false alarms.
package rhythm
