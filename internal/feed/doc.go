// Package feed is the in-memory hub between events and viewers. Every topic has a sequence and a ring of its newest
// messages; a viewer is a position in it, so a reconnecting one continues where it was. One that falls behind the ring
// gets a gap instead and reads the snapshot: publishers never wait.
package feed
