// Package ingest follows the logs of workers: frames become lines, lines become
// samples and events through logparse, and lines, samples and cursor are stored in
// one transaction before anyone is told. Start reading at tail.go (one stream) and
// commit.go (all streams into one writer).
package ingest
