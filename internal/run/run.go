package run

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"regexp"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
)

// FieldError is a problem with one input field.
type FieldError struct {
	Field string `json:"field"` // as the user wrote it: "name", "optim.batch_size"
	Value string `json:"value"` // the value given, cut to 200 bytes
	Rule  string `json:"rule"`  // the rule it breaks
	Fix   string `json:"fix"`   // what would pass
}

// Error joins field, value, rule and fix in one sentence.
func (e FieldError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("%s: %s; %s", e.Field, e.Rule, e.Fix)
	}
	return fmt.Sprintf("%s = %q: %s; %s", e.Field, e.Value, e.Rule, e.Fix)
}

// Fault implements the interface of [fault.Of].
func (e FieldError) Fault() *fault.Error { return FieldErrors{e}.Fault() }

// FieldErrors are all problems of one input; they match [fault.ErrInvalid].
type FieldErrors []FieldError

// Error lists the problems, one per line.
func (e FieldErrors) Error() string {
	s := ""
	for i, f := range e {
		if i > 0 {
			s += "\n"
		}
		s += f.Error()
	}
	return s
}

// Is matches [fault.ErrInvalid].
func (e FieldErrors) Is(target error) bool { return target == fault.ErrInvalid }

// Fault implements the interface of [fault.Of]; the problems are reported separately.
func (e FieldErrors) Fault() *fault.Error {
	if len(e) == 1 {
		return fault.New(fault.ErrInvalid, "It has 1 error.", "")
	}
	return fault.New(fault.ErrInvalid, fmt.Sprintf("It has %d errors.", len(e)), "")
}

// ID names a run: "r-" and 10 characters of lower-case base32hex that sort by creation time.
type ID string

var (
	idEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)
	idPattern  = regexp.MustCompile(`^r-[0-9a-v]{10}$`)
)

// idEpoch makes 40 bits of milliseconds last until 2059.
var idEpoch = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// NewID returns an ID for a run created at t: 40 bits of milliseconds, 10 random bits. Two runs of one millisecond
// collide once in 1024 times: the caller tries again.
func NewID(t time.Time) ID {
	var r [2]byte
	_, _ = rand.Read(r[:]) // never fails since Go 1.24
	ms := uint64(max(0, t.Sub(idEpoch)/time.Millisecond))
	v := ms<<10 | uint64(binary.BigEndian.Uint16(r[:])&0x3ff)
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], v<<14) // 50 bits at the top: exactly 10 characters
	return ID("r-" + idEncoding.EncodeToString(b[:])[:10])
}

// FirstID is before every ID of a run created at t or later, and after those of earlier ones.
func FirstID(t time.Time) ID {
	ms := uint64(min(max(0, t.Sub(idEpoch)/time.Millisecond), 1<<40-1))
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], ms<<24)
	return ID("r-" + idEncoding.EncodeToString(b[:])[:10])
}

// Number is the number in an ID, which has 50 bits: they have the same order. What is no ID is an error of [ParseID].
func (id ID) Number() (int64, error) {
	if _, err := ParseID(string(id)); err != nil {
		return 0, err
	}
	b, err := idEncoding.DecodeString(string(id[2:]) + "000000") // 16 characters are 10 bytes
	if err != nil {
		return 0, err // never: its characters were checked
	}
	return int64(binary.BigEndian.Uint64(b) >> 14), nil
}

// ParseID checks the form of an ID; errors are [FieldErrors].
func ParseID(s string) (ID, error) {
	if !idPattern.MatchString(s) {
		return "", FieldErrors{{Field: "run", Value: named(s), Rule: "is not the ID of a run, which is r- and 10 characters of 0-9 and a-v", Fix: "list the runs to see which there are"}}
	}
	return ID(s), nil
}

// Run is what a user submitted, and its current state.
type Run struct {
	ID   ID     `json:"id"`
	Name string `json:"name"`
	// Project owns it for ever, and Owner is the login name of who submitted it, "" in old databases.
	Project string `json:"project"`
	Owner   string `json:"owner,omitempty"`

	Preset string `json:"preset,omitempty"` // the preset it was made from, or ""
	Config string `json:"config"`           // CotrainCore TOML, exactly as dispatched
	Shape  Shape  `json:"shape"`

	Options Options `json:"options,omitzero"`
	Origin  Origin  `json:"origin,omitzero"`

	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"` // why it is in this state, or ""

	StopRequested bool      `json:"stop_requested,omitempty"` // no attempt follows this one: see [Run.Stop]
	StopCause     StopCause `json:"stop_cause,omitempty"`     // why its workers are being or were stopped, or ""
	StopReason    string    `json:"-"`                        // the cause in a sentence; "" where it needs none
	Attempt       int       `json:"attempt"`                  // newest attempt, 0 before the first

	// Pausing is a pause that was requested and has not come yet, and NextResume what the next attempt continues from.
	Pausing    *Pausing     `json:"pausing,omitempty"`
	NextResume ResumeChoice `json:"next_resume,omitempty"`
	// Idle is how many seconds it was paused or ended between attempts; they do not count for its maximum duration.
	Idle int64 `json:"idle_seconds,omitempty"`

	StepsTotal int64 `json:"steps_total"` // total steps, rounded up to an outer step
	InnerSteps int64 `json:"inner_steps"` // DiLoCo inner steps, 0 without DiLoCo

	// CheckpointPath is the configuration's ckpt.path, "" when it saves none.
	CheckpointPath string `json:"checkpoint_path,omitempty"`

	Retried       int `json:"retried,omitempty"`        // retries used up since the last progress; see [Options.Retries]
	PortConflicts int `json:"port_conflicts,omitempty"` // attempts lost to taken ports before training; not in Retried
	// GivenUp is true once a person wants no attempt to follow a failure; see [Run.StopRetrying].
	GivenUp bool `json:"given_up,omitempty"`
	// Ledger is what failed attempts have used of the retries.
	Ledger    RetryLedger `json:"-"`
	NotBefore time.Time   `json:"not_before,omitzero"` // the next attempt waits until then

	CreatedAt time.Time `json:"created_at"`
	StartedAt time.Time `json:"started_at,omitzero"` // first worker started
	PausedAt  time.Time `json:"paused_at,omitzero"`  // zero unless it is paused
	EndedAt   time.Time `json:"ended_at,omitzero"`

	Progress Progress `json:"progress"`
	// Pace is how fast it goes on lately, zero unless it runs and that is known; see [Run.TimeLeft].
	Pace Pace `json:"pace,omitzero"`
	// FirstStep is the first known step of the newest attempt and FirstAt its time, zero until then: start-up ends
	// there.
	FirstStep int64     `json:"first_step,omitempty"`
	FirstAt   time.Time `json:"first_at,omitzero"`

	// Diverged is where the newest attempt's loss stopped being finite; nil if it never did.
	Diverged *Diverged `json:"diverged,omitempty"`

	// Cause is why the newest attempt failed; nil unless it did, and once another begins.
	Cause *Cause `json:"cause,omitempty"`

	// Notices are what is wrong while it runs, the gravest first; see [Run.Observe].
	Notices []Notice `json:"notices,omitempty"`
	// Rollback is how it went back because of its loss; nil if it never did.
	Rollback *Rollback `json:"rollback,omitempty"`

	// Note is what people write about the run, and Archived leaves it out of lists unless asked for; see [Edit].
	Note     string `json:"note,omitempty"`
	Archived bool   `json:"archived,omitempty"`

	// Revision grows with every stored change.
	Revision int64 `json:"-"`

	// QueuePlace is set only where requested, and for queued runs.
	QueuePlace *QueuePlace `json:"line,omitempty"`
}

// Progress is a run's headline: the point of its curves at Step.
type Progress struct {
	Step         int64     `json:"step"` // see [SettledStep]
	Loss         float64   `json:"loss"` // mean over workers; 0 unless HasLoss
	HasLoss      bool      `json:"has_loss"`
	TokensPerSec float64   `json:"tokens_per_second"` // sum over workers
	Participants int       `json:"participants"`      // workers running now
	UpdatedAt    time.Time `json:"updated_at,omitzero"`
}

// Transition is the only way to change the state. It returns the event, nil if the run is in that state already, and
// [fault.ErrConflict] for a move that the table does not allow.
func (r *Run) Transition(to State, actor, reason string, at time.Time) (*Event, error) {
	if r.State == to {
		r.Reason = reason
		return nil, nil
	}
	if !CanFollow(r.State, to) {
		return nil, fmt.Errorf("run %s is %s and cannot become %s: %w", r.ID, r.State, to, fault.ErrConflict)
	}
	switch {
	case r.State.Live() && !to.Live(): // of what its loss has spoiled no later attempt knows
		r.excludeSpoiled()
	case r.State.Terminal():
		r.reopen(at)
	case r.State == Paused:
		r.rested(r.PausedAt, at)
		r.PausedAt = time.Time{}
	}
	level := levelOf(to)
	if to == Succeeded && reason != "" {
		level = "warning" // with caveats
	}
	ev := &Event{RunID: r.ID, At: at, Kind: "state", Level: level, Actor: actor, From: r.State, To: to, Message: reason, Rank: -1, Attempt: r.Attempt}
	r.State, r.Reason = to, reason
	if to == Running && r.StartedAt.IsZero() {
		r.StartedAt = at
	}
	if to.Terminal() || to == Paused {
		r.Pausing = nil
	}
	if to == Paused {
		r.PausedAt = at
	}
	if to.Terminal() {
		r.EndedAt, r.NextResume = at, ""
	}
	return ev, nil
}

// reopen takes back what the end of a run meant.
func (r *Run) reopen(now time.Time) {
	r.rested(r.EndedAt, now)
	r.EndedAt, r.NotBefore, r.Archived, r.Cause = time.Time{}, time.Time{}, false, nil
	r.StopRequested, r.StopCause, r.StopReason = false, "", ""
	r.ForgetFailures() // who asks for another attempt gives its retries anew
	if r.Rollback != nil {
		anew := *r.Rollback
		anew.Count, r.Rollback = 0, &anew
	}
}

// rested counts the time since then as idle.
func (r *Run) rested(since, now time.Time) {
	if !r.StartedAt.IsZero() && !since.IsZero() && now.After(since) {
		r.Idle += int64(now.Sub(since) / time.Second)
	}
}

// levelOf is the level of the event for a state.
func levelOf(s State) string {
	switch s {
	case Failed:
		return "error"
	case Degraded:
		return "warning"
	default:
		return "info"
	}
}
