// Package queue sends runs to Nomad: in the order in which they were submitted, each
// exactly once however often the console is killed in between. Runs that Nomad
// cannot be told about yet stay queued, with the reason.
package queue
