package run

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// NoticeKind is what a notice is about.
type NoticeKind string

// The kinds, the gravest first.
const (
	NoticeHang      NoticeKind = "hang"       // no worker goes on
	NoticeNotFinite NoticeKind = "not_finite" // the loss is NaN or infinite
	NoticeDiverged  NoticeKind = "divergence" // the loss rose far above what was usual, and stays there
	NoticeAlone     NoticeKind = "alone"      // a worker trains without the others
	NoticeMesh      NoticeKind = "mesh"       // the mesh has fewer workers than the run
	NoticeClock     NoticeKind = "clock"      // a worker's clock is apart from worker 0's
	NoticeSlow      NoticeKind = "slow"       // a worker is slower than the others
	NoticePlateau   NoticeKind = "plateau"    // the loss does not fall any more

	NoticeMemory       NoticeKind = "memory"        // a worker's memory, or its node's, is near its end
	NoticeGPUErrors    NoticeKind = "gpu_errors"    // a GPU's memory has errors
	NoticeGPUThrottled NoticeKind = "gpu_throttled" // a GPU is held down by heat or power
	NoticeGPUIdle      NoticeKind = "gpu_idle"      // a GPU does nothing
	NoticeGPUSlow      NoticeKind = "gpu_slow"      // a GPU does much less than its peers
)

// NoticeKinds lists them, the gravest first.
func NoticeKinds() []NoticeKind {
	return []NoticeKind{
		NoticeHang, NoticeNotFinite, NoticeDiverged, NoticeAlone, NoticeMesh, NoticeMemory, NoticeGPUErrors, NoticeClock, NoticeSlow, NoticeGPUThrottled,
		NoticeGPUIdle, NoticeGPUSlow, NoticePlateau,
	}
}

// Notice is something that is wrong with a live run as far as its workers' logs and nodes tell.
type Notice struct {
	Kind NoticeKind `json:"kind"`
	Rank int        `json:"rank"` // the worker that it is about, -1 for all
	Node string     `json:"node,omitempty"`
	// Since is when it began by the console's clock, and Step where, 0 for unknown.
	Since time.Time `json:"since"`
	Step  int64     `json:"step,omitempty"`
	Text  string    `json:"text"` // one sentence without a full stop
	Hint  string    `json:"hint,omitempty"`
	// Next is what the run's policy does about it, and At when; zero for at once or never.
	Next string    `json:"next,omitempty"`
	At   time.Time `json:"at,omitzero"`
	// Evidence is the newest line of each worker, the one that it is about first.
	Evidence []NoticeLine `json:"evidence,omitempty"`
	// Asked is when the stacks of workers were asked for, and Stacks where those begin in their logs.
	Asked  time.Time    `json:"asked,omitzero"`
	Stacks []NoticeLine `json:"stacks,omitempty"`
	// StacksTell is what the stacks say of who does not wait for the others, where all stopped at one step; without a full stop.
	StacksTell string `json:"stacks_tell,omitempty"`
}

// NoticeLine is a line of a worker.
type NoticeLine struct {
	Rank int       `json:"rank"`
	Pos  LogPos    `json:"pos,omitempty"`
	At   time.Time `json:"at,omitzero"`
	Text string    `json:"text"` // in one line without control characters, clipped
}

// key tells notices apart.
func (n Notice) key() string { return fmt.Sprintf("%s %d", n.Kind, n.Rank) }

// MaxNotices bounds a run's notices: a thousand workers may be slow at once.
const MaxNotices = 16

// SortNotices puts the gravest first, and drops what exceeds MaxNotices.
func SortNotices(list []Notice) []Notice {
	kinds := NoticeKinds()
	slices.SortStableFunc(list, func(a, b Notice) int {
		return cmp.Or(cmp.Compare(slices.Index(kinds, a.Kind), slices.Index(kinds, b.Kind)), cmp.Compare(a.Rank, b.Rank))
	})
	return list[:min(len(list), MaxNotices)]
}

// Notice returns the run's notice of a kind, nil if there is none.
func (r *Run) Notice(kind NoticeKind) *Notice {
	for i := range r.Notices {
		if r.Notices[i].Kind == kind {
			return &r.Notices[i]
		}
	}
	return nil
}

// Observe replaces the notices of a live run by those that hold now, and returns the events of what began and ended. What goes on keeps
// its beginning and its evidence.
func (r *Run) Observe(now []Notice, at time.Time) []Event {
	old := map[string]Notice{}
	for _, n := range r.Notices {
		old[n.key()] = n
	}
	var out []Event
	event := func(n Notice, kind, level, text string) {
		out = append(out, Event{RunID: r.ID, At: at, Kind: kind, Level: level, Actor: Console, Attempt: r.Attempt, Rank: n.Rank, Message: text})
	}
	hangs := func(rank int) bool {
		return slices.ContainsFunc(now, func(n Notice) bool { return n.Kind == NoticeHang && n.Rank == rank })
	}
	now = SortNotices(slices.DeleteFunc(now, func(n Notice) bool { return n.Kind == NoticeSlow && hangs(n.Rank) })) // it says less
	for i, n := range now {
		was, ok := old[n.key()]
		delete(old, n.key())
		if ok {
			now[i].Since, now[i].Evidence, now[i].Stacks = was.Since, cmpSlice(was.Evidence, n.Evidence), cmpSlice(n.Stacks, was.Stacks)
			now[i].StacksTell = cmp.Or(n.StacksTell, was.StacksTell)
			if len(was.Stacks) == 0 && len(n.Stacks) > 0 {
				event(n, EventStacks, "info", n.stacksText())
			}
			continue
		}
		text := Sentence(n.Text)
		if n.Next != "" {
			text += " " + n.Next
		}
		event(n, string(n.Kind), n.level(), text)
	}
	for _, n := range r.Notices {
		if _, over := old[n.key()]; over && (n.Kind != NoticeSlow || !hangs(n.Rank)) {
			event(n, string(n.Kind)+NoticeOver, "info", n.over(at))
		}
	}
	r.Notices = now
	return out
}

// NoticeOver ends the kind of the event that a notice is over.
const NoticeOver = "_over"

// EventStacks is the kind of the event that stacks which were asked for are in the logs.
const EventStacks = "stacks"

// stacksText says whose stacks are in the logs, and how the first begins.
func (n Notice) stacksText() string {
	var who []string
	for _, l := range n.Stacks {
		if name := strconv.Itoa(l.Rank); !slices.Contains(who, name) {
			who = append(who, name)
		}
	}
	s := ""
	if len(who) > 1 {
		s = "s"
	}
	return fmt.Sprintf("the stacks of worker%s %s are in the log: %s", s, strings.Join(who, ", "), n.Stacks[0].Text)
}

// cmpSlice is the first list that has anything.
func cmpSlice(a, b []NoticeLine) []NoticeLine {
	if len(a) > 0 {
		return a
	}
	return b
}

func (n Notice) level() string {
	switch n.Kind {
	case NoticeHang, NoticeNotFinite, NoticeDiverged, NoticeAlone:
		return "error"
	default:
		return "warning"
	}
}

// Lasts reports whether what a notice tells of a worker still counts once that has finished.
func (n Notice) Lasts() bool { return n.caveat() != "" }

// caveat is what a notice says of a run that has finished, "" for nothing.
func (n Notice) caveat() string {
	who := Worker{Rank: n.Rank, NodeName: n.Node}.name()
	switch n.Kind {
	case NoticeAlone:
		return fmt.Sprintf("%s trained alone from step %d on", who, n.Step)
	case NoticeDiverged:
		return fmt.Sprintf("the loss of %s rose far above what was usual at step %d, and stayed there", who, n.Step)
	default: // a loss that is not finite is told by its last value
		return ""
	}
}

// over says that a notice holds no more.
func (n Notice) over(at time.Time) string {
	who := "the run"
	if n.Rank >= 0 {
		who = WorkerName(n.Rank, n.Node)
	}
	switch n.Kind {
	case NoticeHang:
		return fmt.Sprintf("%s goes on after %s", who, ShortDuration(at.Sub(n.Since)))
	case NoticeNotFinite, NoticeDiverged, NoticePlateau:
		return "the loss is as usual again"
	case NoticeAlone:
		return who + " trains with the others again"
	case NoticeMesh:
		return "all workers are in the mesh again"
	case NoticeClock:
		return "the clock of " + who + " agrees with worker 0's again"
	case NoticeMemory:
		return "there is memory again at " + who
	case NoticeGPUErrors, NoticeGPUThrottled, NoticeGPUIdle, NoticeGPUSlow:
		return "the GPUs of " + who + " work as they should again"
	default:
		return who + " is as fast as the others again"
	}
}

// Sentence is text with a capital and a full stop.
func Sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + strings.TrimSuffix(text[1:], ".") + "."
}
