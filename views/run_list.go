package views

import (
	"net/url"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// RunList is the list of runs as filtered.
type RunList struct {
	Runs   []run.Run
	Text   string    // the filter's text
	State  run.State // the filter's state, "" for any
	Before run.ID    // the page begins before this run, "" on the first page
	Older  run.ID    // the last run of this page when older ones exist, else ""
	Counts map[run.State]int
	Seq    int64 // of the topic "runs"
	Now    time.Time
}

func (l RunList) total() int {
	n := 0
	for _, c := range l.Counts {
		n += c
	}
	return n
}

func (l RunList) filtered() bool { return l.Text != "" || l.State != "" }

// href is the list's address with this state and start.
func (l RunList) href(state run.State, before run.ID) string {
	q := url.Values{}
	if l.Text != "" {
		q.Set("q", l.Text)
	}
	if state != "" {
		q.Set("state", string(state))
	}
	if before != "" {
		q.Set("before", string(before))
	}
	if len(q) == 0 {
		return "/"
	}
	return "/?" + q.Encode()
}

// states are those worth offering as a filter: every one that some run is in, and the chosen one.
func (l RunList) states() []run.State {
	var out []run.State
	for _, s := range run.States() {
		if l.Counts[s] > 0 || s == l.State {
			out = append(out, s)
		}
	}
	return out
}

func lossText(r run.Run) (string, string) {
	if !r.Progress.HasLoss {
		return absent, ""
	}
	return Number(r.Progress.Loss), exact(r.Progress.Loss)
}

func throughputText(r run.Run) (string, string) {
	if r.Progress.TokensPerSec <= 0 {
		return absent, ""
	}
	return Number(r.Progress.TokensPerSec), exact(r.Progress.TokensPerSec) + " tokens per second"
}

func stepText(r run.Run) string {
	if r.StepsTotal <= 0 {
		return Integer(r.Progress.Step)
	}
	return Integer(r.Progress.Step) + " / " + Integer(r.StepsTotal)
}

func durationText(r run.Run, now time.Time) string {
	d, ok := elapsed(r, now)
	if !ok {
		return absent
	}
	return Duration(d)
}

// Href is the address of the list as it is shown.
func (l RunList) Href() string { return l.href(l.State, l.Before) }
