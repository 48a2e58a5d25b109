package ingest

import (
	"errors"
	"fmt"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
)

// markPrefix starts a log line about missing output.
const markPrefix = "=== cotrain: "

// trouble is why a stream has not been stored lately. The store's comes before Nomad's.
type trouble string

const (
	noTrouble   trouble = ""
	nomadAway   trouble = "the console could not reach Nomad"
	storeFailed trouble = "the console could not write its data folder"
	diskFull    trouble = "the console's disk was full"
)

func (t *trouble) add(err error, committing bool) {
	switch {
	case errors.Is(err, fault.ErrFull):
		*t = diskFull
	case committing && errors.Is(err, fault.ErrUnavailable):
		if *t != diskFull {
			*t = storeFailed
		}
	case *t == noTrouble && errors.Is(err, fault.ErrUnavailable):
		*t = nomadAway
	}
}

// because explains why output was lost.
func (t trouble) because(gone string) string {
	if t == noTrouble {
		return gone + " before the console had read them"
	}
	return string(t) + " and " + gone
}

func outputOf(rank int, stream string) string {
	if stream == "stderr" {
		return fmt.Sprintf("worker %d's error output", rank)
	}
	return fmt.Sprintf("worker %d's output", rank)
}

// lostMessage tells of output rotated away: bytes is an estimate, from the last store until now.
func lostMessage(bytes int64, output string, from, to time.Time, t trouble) string {
	return fmt.Sprintf("about %s of %s %s is missing: %s", size(bytes), output, span(from, to), t.because("Nomad rotated the files away"))
}

// goneMessage tells that a stream's end was removed from its node.
func goneMessage(output string, from time.Time, t trouble) string {
	return fmt.Sprintf("the end of %s%s is missing: %s", output, since(from), t.because("its files were removed from the node"))
}

// unwrittenMessage tells that the node could not write part of a stream.
func unwrittenMessage(bytes int64, output string) string {
	return fmt.Sprintf("about %s of %s is missing: the disk of its node could not take it", size(bytes), output)
}

// span formats times of day in UTC, with dates if they differ.
func span(from, to time.Time) string {
	from, to = from.UTC(), to.UTC()
	switch {
	case from.Unix() <= 0: // nothing was ever stored
		return "before " + to.Format("15:04") + " UTC"
	case from.YearDay() == to.YearDay() && from.Year() == to.Year():
		return "from " + from.Format("15:04") + " to " + to.Format("15:04") + " UTC"
	}
	return "from " + from.Format("2006-01-02 15:04") + " to " + to.Format("2006-01-02 15:04") + " UTC"
}

func since(from time.Time) string {
	if from.Unix() <= 0 {
		return ""
	}
	return " after " + from.UTC().Format("2006-01-02 15:04") + " UTC"
}

// size formats an approximate number of bytes.
func size(n int64) string {
	switch {
	case n >= 10_000_000:
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	case n >= 1_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1000:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d bytes", n)
}
