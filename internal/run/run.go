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

// FieldError is one thing wrong with one input field.
type FieldError struct {
	Field string `json:"field"` // name as the user gave it: "name", "optim.batch_size"
	Value string `json:"value"` // what was given, cut to 200 bytes
	Rule  string `json:"rule"`  // the rule that it breaks
	Fix   string `json:"fix"`   // a value or an action that would pass
}

// Error gives field, value if there is one, rule and what would pass in one sentence.
func (e FieldError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("%s: %s; %s", e.Field, e.Rule, e.Fix)
	}
	return fmt.Sprintf("%s = %q: %s; %s", e.Field, e.Value, e.Rule, e.Fix)
}

// Fault is for [fault.Of].
func (e FieldError) Fault() *fault.Error { return FieldErrors{e}.Fault() }

// FieldErrors is every problem found in one input; it matches [fault.ErrInvalid].
type FieldErrors []FieldError

// Error lists the problems, one a line.
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

// Is makes errors.Is(err, fault.ErrInvalid) true.
func (e FieldErrors) Is(target error) bool { return target == fault.ErrInvalid }

// Fault is for [fault.Of]. The problems themselves are told beside it.
func (e FieldErrors) Fault() *fault.Error {
	if len(e) == 1 {
		return fault.New(fault.ErrInvalid, "It has 1 error.", "")
	}
	return fault.New(fault.ErrInvalid, fmt.Sprintf("It has %d errors.", len(e)), "")
}

// ID names a run: "r-" and 10 characters of lower-case base32hex, which sort by time of creation.
type ID string

var (
	idEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)
	idPattern  = regexp.MustCompile(`^r-[0-9a-v]{10}$`)
)

// idEpoch is what IDs count from, so that 40 bits of milliseconds last until 2059.
var idEpoch = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// NewID returns an ID for a run created at t: 40 bits of milliseconds, 10 random bits. Two runs of one millisecond
// can collide once in 1024 times: whoever stores them tries again with a new one.
func NewID(t time.Time) ID {
	var r [2]byte
	_, _ = rand.Read(r[:]) // never fails since Go 1.24
	ms := uint64(max(0, t.Sub(idEpoch)/time.Millisecond))
	v := ms<<10 | uint64(binary.BigEndian.Uint16(r[:])&0x3ff)
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], v<<14) // 50 bits at the top: exactly 10 characters
	return ID("r-" + idEncoding.EncodeToString(b[:])[:10])
}

// ParseID checks the form of an ID given by a user; a wrong one is [FieldErrors].
func ParseID(s string) (ID, error) {
	if !idPattern.MatchString(s) {
		return "", FieldErrors{{Field: "run", Value: named(s), Rule: "is not the ID of a run, which is r- and 10 characters of 0-9 and a-v", Fix: "list the runs to see which there are"}}
	}
	return ID(s), nil
}

// Run is what the user asked for, and where it stands.
type Run struct {
	ID     ID     `json:"id"`
	Name   string `json:"name"`
	Preset string `json:"preset,omitempty"` // the preset that it was made from, or ""
	Config string `json:"config"`           // CotrainCore TOML, exactly as dispatched
	Shape  Shape  `json:"shape"`

	Options Options `json:"options,omitzero"`
	Origin  Origin  `json:"origin,omitzero"`

	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"` // why it is in that state, one sentence, or ""

	StopRequested bool      `json:"stop_requested,omitempty"` // it ends with this attempt: see [Run.Stop]
	StopCause     StopCause `json:"-"`                        // why its workers are or were stopped; "" while nobody wants that
	StopReason    string    `json:"-"`                        // the same in a sentence; "" where nothing more is to be said
	Attempt       int       `json:"attempt"`                  // number of the newest attempt, 0 before the first

	StepsTotal int64 `json:"steps_total"` // training steps when complete, rounded up to an outer boundary
	InnerSteps int64 `json:"inner_steps"` // DiLoCo inner steps, 0 without DiLoCo

	// CheckpointPath is the folder that its checkpoints go to (the configuration's ckpt.path), "" when it saves none.
	CheckpointPath string `json:"checkpoint_path,omitempty"`

	Retried       int       `json:"retried,omitempty"`        // failed attempts that were followed by another; see [Options.Retries]
	PortConflicts int       `json:"port_conflicts,omitempty"` // attempts that ended before training because ports were taken; not in Retried
	NotBefore     time.Time `json:"not_before,omitzero"`      // a queued run's next attempt waits until then

	CreatedAt time.Time `json:"created_at"`
	StartedAt time.Time `json:"started_at,omitzero"` // first worker started
	EndedAt   time.Time `json:"ended_at,omitzero"`

	Progress Progress `json:"progress"`
	// FirstStep is the first step that the newest attempt is known to have done, and FirstAt when that was: what came before
	// is start-up. FirstAt is zero until then.
	FirstStep int64     `json:"first_step,omitempty"`
	FirstAt   time.Time `json:"first_at,omitzero"`

	// Diverged is since when the loss of the newest attempt is no finite number; nil when it never was one.
	Diverged *Diverged `json:"-"`

	// Revision grows with every change that is stored: of two states of one run, the greater is the newer.
	Revision int64 `json:"-"`

	// Line is where a run that waits for its turn stands; nil where nobody asked, and for every other run.
	Line *Line `json:"line,omitempty"`
}

// Progress is the newest headline of a run: the point of its curves at Step.
type Progress struct {
	Step         int64     `json:"step"` // newest step that every worker taking part has reported; see [SettledStep]
	Loss         float64   `json:"loss"` // mean over workers at Step; 0 while HasLoss is false
	HasLoss      bool      `json:"has_loss"`
	TokensPerSec float64   `json:"tokens_per_second"` // sum over workers at Step
	Participants int       `json:"participants"`      // workers running now
	UpdatedAt    time.Time `json:"updated_at,omitzero"`
}

// Transition moves the run to another state and returns the event that records it. It is the only way that a
// state changes. It returns [fault.ErrConflict] when the table of states does not allow the move, and no event
// when the run is already there.
func (r *Run) Transition(to State, actor, reason string, at time.Time) (*Event, error) {
	if r.State == to {
		r.Reason = reason
		return nil, nil
	}
	if !CanFollow(r.State, to) {
		return nil, fmt.Errorf("run %s is %s and cannot become %s: %w", r.ID, r.State, to, fault.ErrConflict)
	}
	level := levelOf(to)
	if to == Succeeded && reason != "" {
		level = "warning" // it did, but
	}
	ev := &Event{RunID: r.ID, At: at, Kind: "state", Level: level, Actor: actor, From: r.State, To: to, Message: reason, Rank: -1, Attempt: r.Attempt}
	r.State, r.Reason = to, reason
	if to == Running && r.StartedAt.IsZero() {
		r.StartedAt = at
	}
	if to.Terminal() {
		r.EndedAt = at
	}
	return ev, nil
}

// levelOf is the level of the event that leads to a state.
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
