package audit

import "time"

// Row is an entry with its hash.
type Row struct {
	Entry
	Hash Hash
}

// Page is a part of what a search found.
type Page struct {
	Rows []Row // newest first
	// Next is the Before of the search for what is older, 0 at the end. A page may have few rows, or none, and yet a Next: a
	// search ends when it has read very many rows in vain.
	Next int64
	// Back is when the oldest entry was logged that was looked at, if there is a Next.
	Back time.Time
}

// Head is the newest entry, and the newest that retention has removed, by number and hash.
type Head struct {
	Seq     int64
	Hash    Hash
	CutSeq  int64
	CutHash Hash
}

// Verified is how far a console has verified the log since it started.
type Verified struct {
	Verdict
	At    time.Time // zero before the first time
	Whole bool      // up to the end, as it was at At
}
