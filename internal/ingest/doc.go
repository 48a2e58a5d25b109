// Package ingest follows workers' logs: frames become lines, lines become samples and events through logparse, and all
// is stored with the cursor in one transaction before it is published. Start at tail.go (one stream) and commit.go (the
// writer).
package ingest
