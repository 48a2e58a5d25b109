// Package points stores metric points, as rows while they are the newest of their series and then as compressed chunks,
// and the curves over all workers that pages show. The caller passes in its transaction. Only its own tables are
// written; those of runs and workers are read. Start at write.go; chunk.go and blocks.go describe the storage.
package points
