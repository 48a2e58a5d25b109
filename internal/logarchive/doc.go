// Package logarchive is the format of archived logs and how they are searched: chunks of output in compressed blocks, the numbers of
// lines and the trigrams by which a search skips blocks, and the matching of lines. It does no I/O.
//
// Start at block.go (what is stored), about.go (what is known of a block without opening it) and match.go (which lines are wanted).
package logarchive
