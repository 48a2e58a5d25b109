// Package points keeps the points of metrics: rows while they are the newest of
// their series, then compressed chunks, and beside them the curves over all workers
// that pages show. Whoever stores points passes in the transaction that they are
// part of. It writes tables of its own alone, and asks those of runs and workers who
// exists, has ended and takes part. Start reading at write.go; what it keeps is in
// chunk.go (points) and blocks.go (curves).
package points
