package ingest

import "time"

// Backlog is how far the reading of logs is behind.
type Backlog struct {
	Streams  int           // that are not read to their end
	Reading  int           // those of them that are being read; the others wait for Nomad, or for their turn
	Unstored time.Duration // age of the oldest piece that was read and is not stored yet, 0 for none
}

// Backlog returns the current one.
func (in *Ingest) Backlog() Backlog {
	in.mu.Lock()
	defer in.mu.Unlock()
	var b Backlog
	for _, a := range in.allocs {
		b.Streams += a.left
		b.Reading += min(a.reads, a.left)
	}
	now := in.o.Now()
	for _, since := range in.unstored {
		b.Unstored = max(b.Unstored, now.Sub(since))
	}
	return b
}

// holds notes that a stream has read what is not stored yet; what it read before and could not store is older.
func (in *Ingest) holds(t *tail, since time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if _, older := in.unstored[t]; !older {
		in.unstored[t] = since
	}
}

// settled notes that all that a stream has read is stored, or never will be.
func (in *Ingest) settled(t *tail) {
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.unstored, t)
}
