package run

import (
	"cmp"
	"fmt"
	"strings"
)

// Priority is what counts: [DefaultPriority] for a run that says nothing.
func (r *Run) Priority() int { return cmp.Or(r.Options.Priority, DefaultPriority) }

// Line is a place among the runs that wait for their turn and room: by priority, then oldest first.
type Line struct {
	Position int     `json:"position"` // 1 is the first
	Ahead    []Ahead `json:"ahead"`    // the first ones of those before it, at most three
}

// Ahead is a run that comes before another.
type Ahead struct {
	ID   ID     `json:"id"`
	Name string `json:"name"`
}

// String says the place in words: "first in the queue", "4th in the queue, behind big (r-...), ... and 1 more".
func (l Line) String() string {
	if l.Position <= 1 {
		return "first in the queue"
	}
	var names []string
	for _, a := range l.Ahead {
		names = append(names, fmt.Sprintf("%s (%s)", a.Name, a.ID))
	}
	out := fmt.Sprintf("%s in the queue, behind %s", ordinal(l.Position), strings.Join(names, ", "))
	if more := l.Position - 1 - len(l.Ahead); more > 0 {
		out += fmt.Sprintf(" and %d more", more)
	}
	return out
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
