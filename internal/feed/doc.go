// Package feed is the in-memory hub between what happens to runs and who looks at
// them: every topic has a sequence and a ring of its newest messages, and a viewer
// is a place in it, so one who lost the connection continues where it was.
// Publishers do nothing for viewers: one who falls behind the ring gets a gap
// instead of what it missed, and reads the snapshot.
package feed
