package run

import (
	"errors"
	"fmt"
	"time"
)

// Attempt is one dispatch of a run: one Nomad child job.
type Attempt struct {
	RunID     ID     `json:"run_id"`
	Number    int    `json:"number"`
	ParentJob string `json:"parent_job"` // cotrain-core-<shape hash>
	JobID     string `json:"job_id"`     // the child; "" until dispatched
	// MaybeSent is true while Nomad may have a child of which it could not tell.
	MaybeSent bool `json:"maybe_sent,omitempty"`
	// Resume is the checkpoint folder that it continues from, "" when it begins as the configuration says.
	Resume string `json:"resume,omitempty"`
	// Recalled is true once it was taken back because Nomad placed only a part of its workers.
	Recalled  bool      `json:"recalled,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
}

// Token is the idempotency token of the attempt's dispatch.
func (a Attempt) Token() string { return fmt.Sprintf("%s/%d", a.RunID, a.Number) }

// ErrNotQueued says that a run is not waiting any more.
var ErrNotQueued = errors.New("not queued any more")

// Claim gives a queued run its next attempt, which continues from the checkpoint folder resume or with "" starts as the
// configuration says, and moves it to dispatching. One that an earlier process was dispatching keeps its attempt, and there
// is no event; any other is [ErrNotQueued].
func (r *Run) Claim(a *Attempt, resume string, now time.Time) (*Event, error) {
	switch r.State {
	case Dispatching:
		return nil, nil
	case Queued:
	default:
		return nil, ErrNotQueued
	}
	if a.Number > 0 && a.JobID == "" && !a.MaybeSent {
		a.CreatedAt = now // nobody has it yet
	}
	if a.Number == 0 || a.JobID != "" {
		*a = Attempt{RunID: r.ID, Number: a.Number + 1, ParentJob: r.Shape.ParentJob(), Resume: resume, CreatedAt: now}
		r.Attempt = a.Number
	}
	r.NotBefore = time.Time{}
	why := ""
	if a.Resume != "" {
		why = "continues from " + a.Resume
	}
	return r.Transition(Dispatching, Console, why, now)
}
