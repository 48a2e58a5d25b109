package run

import (
	"cmp"
	"fmt"
	"strings"
)

// Priority is the effective priority: [DefaultPriority] unless the run sets one.
func (r *Run) Priority() int { return cmp.Or(r.Options.Priority, DefaultPriority) }

// QueuePlace is a run's place in the queue: by priority, then oldest first.
type QueuePlace struct {
	Position int     `json:"position"` // 1 is next
	Ahead    []Ahead `json:"ahead"`    // the next runs to be sent, at most three; without name and ID those of other projects
}

// Ahead is a run further ahead in the queue.
type Ahead struct {
	ID   ID     `json:"id"`
	Name string `json:"name"`
}

// String returns "First in the queue" or "4th in the queue, behind big (r-...), ... and 1 more".
func (l QueuePlace) String() string {
	var names []string
	for _, a := range l.Ahead {
		if a.ID == "" {
			names = append(names, OfAnotherProject)
			continue
		}
		names = append(names, fmt.Sprintf("%s (%s)", a.Name, a.ID))
	}
	out := l.Ordinal() + " in the queue"
	if len(names) > 0 {
		out += ", behind " + strings.Join(names, ", ")
	}
	if more := l.More(); more > 0 {
		out += fmt.Sprintf(" and %d more", more)
	}
	return out
}

// More is how many runs are ahead beside the named ones.
func (l QueuePlace) More() int { return max(0, l.Position-1-len(l.Ahead)) }

// Ordinal is the position in words: "First", "22nd".
func (l QueuePlace) Ordinal() string {
	if l.Position <= 1 {
		return "First"
	}
	return ordinal(l.Position)
}

func ordinal(n int) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprint(n, suffix)
}
