// Package feed is the in-memory hub between what happens to runs and who looks at
// them: every topic has a sequence and a ring of its newest messages, so that a
// viewer who lost the connection continues where it was. Publishers never wait for
// viewers: a viewer that is too slow loses log lines (counted), gets samples
// merged, and never loses a state.
package feed
