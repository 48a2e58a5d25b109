package check

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is what can be wrong.
type Kind string

// The kinds.
const (
	DatabaseDamaged Kind = "database_damaged"
	Unreadable      Kind = "unreadable"
	Orphan          Kind = "orphan"
	AttemptMissing  Kind = "attempt_missing"
	RunColumns      Kind = "run_columns"
	WorkerColumns   Kind = "worker_columns"
	RunText         Kind = "run_text"
	RunEvents       Kind = "run_events"
	Headline        Kind = "headline"
	Summary         Kind = "summary"
	Chunk           Kind = "chunk"
	ChunkDamaged    Kind = "chunk_damaged"
	PointsUnknown   Kind = "points_unknown"
	PointsMissing   Kind = "points_missing"
	Curve           Kind = "curve"
	LogMissing      Kind = "log_missing"
	LogDamaged      Kind = "log_damaged"
	LogUnknown      Kind = "log_unknown"
	AuditChain      Kind = "audit_chain"
)

// kinds are in the order of a report, with what each is, and what to do about those that --repair leaves.
var kinds = []struct {
	kind         Kind
	what, remedy string
}{
	{DatabaseDamaged, "damage that the database itself finds", "Keep a copy of the database, and restore it from a backup."},
	{Unreadable, "columns of JSON that cannot be read", "Restore these rows from a backup: until then the console cannot show them, nor lists that they are in."},
	{Orphan, "rows of runs that do not exist", "They do no harm. Once you are sure that the run is not missed, delete them: DELETE FROM table WHERE column = value, as below."},
	{AttemptMissing, "runs without the rows of all their attempts", "Restore the rows of the table attempts from a backup."},
	{RunColumns, "columns of runs that differ from the options and origin that they are taken from", ""},
	{WorkerColumns, "columns of workers that differ from the body that they are taken from", ""},
	{RunText, "runs whose text to be searched is not that of the run", ""},
	{RunEvents, "runs whose events do not lead to their state", "Nothing derives events again: compare with a backup."},
	{Headline, "ended runs whose step and loss are not those of their curves", ""},
	{Summary, "summaries of the metrics of ended runs that are not those of their points", ""},
	{Chunk, "chunks of points whose columns differ from their points", ""},
	{ChunkDamaged, "chunks of points that cannot be read", "Restore the database from a backup; or delete the chunk, and keep of its points only what curves have: DELETE FROM point_chunks WHERE id = ..., as below."},
	{PointsUnknown, "points whose series is not known", "They may be the data of a row of the table series that is lost. Do not delete them: restore that row, or the database, from a backup."},
	{PointsMissing, "points are missing that the curve still has", "Restore the database from a backup. The curve is the last copy of these points, and is left as it is."},
	{Curve, "curves that differ from the points that they are taken from", ""},
	{LogMissing, "sealed blocks of logs that are missing", "Restore them from a backup of the archive (the folder logs/, or the bucket), or name the right data folder or bucket; after a change from one to the other, run cotrain logs migrate. Without them those lines are lost, and everything else works."},
	{LogDamaged, "sealed blocks of logs that are not what they should be", "Restore them from a backup of the archive (the folder logs/, or the bucket). Those lines alone are lost."},
	{AuditChain, "entries of the audit log that were changed, removed or inserted", "Keep a copy of the database, and compare with an export, or with what was forwarded (cotrain audit verify --expect)."},
	{LogUnknown, "blobs in the archive of logs that no row names", "They do no harm: a backup of a console at work has some. They can be deleted."},
}

// examples is how many findings of a kind are told.
const examples = 10

// Finding is one thing that is wrong.
type Finding struct {
	Where string `json:"where"` // the run, series or file
	What  string `json:"what"`
}

// Found is what was found of one kind.
type Found struct {
	Kind     Kind      `json:"kind"`
	What     string    `json:"what"`
	Note     bool      `json:"note,omitempty"` // nothing is wrong with it
	Count    int       `json:"count"`
	Repaired int       `json:"repaired"`
	Remedy   string    `json:"remedy"`
	Examples []Finding `json:"examples"`
}

// Report is the result of a check.
type Report struct {
	Database string  `json:"database"`
	Archive  string  `json:"archive,omitempty"` // of [Logs]: where they are
	Runs     int     `json:"runs"`
	Chunks   int     `json:"chunks"`
	Blocks   int     `json:"log_blocks"`
	Bytes    int64   `json:"log_bytes"` // that were read of their blobs
	Found    []Found `json:"found"`
}

// Clean reports whether nothing is left that is wrong.
func (r *Report) Clean() bool {
	return !slices.ContainsFunc(r.Found, func(f Found) bool { return !f.Note && f.Count > f.Repaired })
}

// String says it to a person.
func (r *Report) String() string {
	var b strings.Builder
	if r.Archive != "" {
		fmt.Fprintf(&b, "%s: %d sealed blocks of logs checked, %d bytes.\n", r.Archive, r.Blocks, r.Bytes)
	} else {
		fmt.Fprintf(&b, "%s: %d runs, %d chunks of points and %d sealed blocks of logs checked.\n", r.Database, r.Runs, r.Chunks, r.Blocks)
	}
	if !slices.ContainsFunc(r.Found, func(f Found) bool { return !f.Note }) {
		b.WriteString("Nothing is wrong.\n")
	}
	for _, f := range r.Found {
		b.WriteString("\n")
		if f.Note {
			b.WriteString("Note: ")
		}
		fmt.Fprintf(&b, "%s: %d", f.What, f.Count)
		switch {
		case f.Repaired == f.Count:
			b.WriteString(", repaired")
		case f.Repaired > 0:
			fmt.Fprintf(&b, ", %d repaired", f.Repaired)
		}
		b.WriteString("\n")
		for _, e := range f.Examples {
			fmt.Fprintf(&b, "  %s: %s\n", e.Where, e.What)
		}
		if more := f.Count - len(f.Examples); more > 0 {
			fmt.Fprintf(&b, "  and %d more\n", more)
		}
		if f.Repaired < f.Count {
			fmt.Fprintf(&b, "  %s\n", f.Remedy)
		}
	}
	return b.String()
}
