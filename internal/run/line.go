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

// String says the place in words: "First in the queue", "4th in the queue, behind big (r-...), ... and 1 more".
func (l Line) String() string {
	var names []string
	for _, a := range l.Ahead {
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

// More is how many are ahead besides those that are named.
func (l Line) More() int { return max(0, l.Position-1-len(l.Ahead)) }

// Ordinal is the position in words: "First", "22nd".
func (l Line) Ordinal() string {
	n := l.Position
	if n <= 1 {
		return "First"
	}
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
