package runs

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// Segment is an attempt as the timeline heads its events.
type Segment struct {
	Attempt run.Attempt
	From    *int64    // the first step that it reported, where an earlier attempt had reported some
	State   run.State // of the run while this is its newest attempt, or that it left the run in; "" if neither is known
}

// eventLine is an event, below the head of its attempt where it is the newest of it.
type eventLine struct {
	Event run.Event
	Head  *Segment
}

// rows are the events, newest first. What a worker of an earlier attempt reported late stays where it is.
func (p EventPage) rows() []eventLine {
	out := make([]eventLine, len(p.Events))
	segments := make([]int, len(p.Events)) // the attempt of each, oldest first
	newest := 0
	for i, e := range p.Events {
		newest = max(newest, e.Attempt)
		segments[i] = newest
		out[len(out)-1-i].Event = e
	}
	slices.Reverse(segments)
	for i, number := range segments {
		if i == 0 || number != segments[i-1] {
			out[i].Head = p.segment(number)
		}
	}
	return out
}

// segment is an attempt with what is known of its end: its cause, or the state that an event says.
func (p EventPage) segment(number int) *Segment {
	i := slices.IndexFunc(p.Attempts, func(s Segment) bool { return s.Attempt.Number == number })
	if i < 0 {
		return nil
	}
	s := p.Attempts[i]
	if i == len(p.Attempts)-1 {
		s.State = p.State
		return &s
	}
	for _, e := range slices.Backward(p.Events) {
		if e.Attempt == number && e.To != "" {
			s.State = e.To
			break
		}
	}
	return &s
}

func (s Segment) id() string { return "attempt-" + strconv.Itoa(s.Attempt.Number) }

// from is where the attempt began.
func (s Segment) from() string {
	switch step, saved := strings.CutPrefix(path.Base(s.Attempt.Resume), "step_"); {
	case saved:
		return "continued from step " + digits(step)
	case s.From != nil:
		return "continued, first report of step " + ui.Integer(*s.From)
	case s.Attempt.Resume != "":
		return "continued from " + s.Attempt.Resume
	}
	return "from the start"
}

// digits groups those of a whole number; another text stays.
func digits(text string) string {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return text
	}
	return ui.Integer(n)
}

// ended is how the attempt ended, or that it has not.
func (s Segment) ended() string {
	switch {
	case s.Attempt.Recalled:
		return "taken back: not all workers were placed"
	case s.State == run.Queued && !s.Attempt.EndedAt.IsZero():
		return "ended, queued again"
	case s.State != "":
		return string(s.State)
	case s.Attempt.EndedAt.IsZero():
		return "under way"
	}
	return "ended"
}

func (s Segment) icon() string {
	switch {
	case s.Attempt.Cause != nil:
		return "failed"
	case s.State != "":
		return string(s.State)
	}
	return "dot"
}

func (s Segment) class() string {
	switch {
	case s.Attempt.Cause != nil:
		return "state-failed"
	case s.State != "":
		return "state-" + string(s.State)
	}
	return ""
}

// causeHref leads to the line that says why the attempt failed, or else to what its category means.
func (s Segment) causeHref() string {
	c := s.Attempt.Cause
	for _, line := range c.Evidence {
		if line.Pos > 0 {
			return causeLine(s.Attempt.RunID, c, line)
		}
	}
	return c.Help()
}
