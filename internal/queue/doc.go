// Package queue sends runs to Nomad: by priority and then in the order in which they
// were submitted, each attempt exactly once however often the console is killed in
// between. Runs that Nomad cannot be told about yet, whose next attempt has to wait,
// or whose sweep has as many live runs as it may, stay queued with the reason.
package queue
