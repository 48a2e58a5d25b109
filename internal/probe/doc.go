// Package probe is what a measurement runs on each node: it measures the node itself, and the ways to the others over a small protocol
// of its own on TCP, and prints what it finds as lines for the console.
//
// Both ends of a connection prove that they know the measurement's token before anything else is sent, without showing it, so that
// nobody else can use a node as a source of traffic. Rounds need no clock and no leader: a node goes through its own turns in order,
// and the one that connects waits until the other is there. What a peer that is dead, silent or late can cost is bounded in each step.
package probe
