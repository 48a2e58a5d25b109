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
	// MaybeSent is true when Nomad did not answer the dispatch and may have a child all the same.
	MaybeSent bool `json:"maybe_sent,omitempty"`
	// Resume is the checkpoint folder to continue from, "" to start as the configuration says.
	Resume string `json:"resume,omitempty"`
	// Secrets are what the run's secrets stood for when the attempt was made.
	Secrets []SecretRef `json:"secrets,omitempty"`
	// Recalled is true for an attempt that was taken back because Nomad placed only some of its workers.
	Recalled bool `json:"recalled,omitempty"`
	// Cause is why it failed, nil unless it did.
	Cause     *Cause    `json:"cause,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
}

// Token is the idempotency token of the attempt's dispatch.
func (a Attempt) Token() string { return fmt.Sprintf("%s/%d", a.RunID, a.Number) }

// ErrNotQueued means the run has left the queue.
var ErrNotQueued = errors.New("not queued any more")

// Claim moves a queued run to dispatching with a new attempt that continues from the checkpoint folder resume ("" for
// none). A run that is already dispatching keeps its attempt and gets no event; any other returns [ErrNotQueued].
func (r *Run) Claim(a *Attempt, resume string, now time.Time) (*Event, error) {
	switch r.State {
	case Dispatching:
		return nil, nil
	case Queued:
	default:
		return nil, ErrNotQueued
	}
	if a.Number > 0 && a.JobID == "" && !a.MaybeSent { // never sent
		a.CreatedAt, a.Resume = now, resume
	}
	r.excludeSpoiled() // of a run that an older version ended
	if a.Number == 0 || a.JobID != "" {
		*a = Attempt{RunID: r.ID, Number: a.Number + 1, ParentJob: r.Shape.ParentJob(), Resume: resume, CreatedAt: now}
		r.Attempt = a.Number
	}
	// What was chosen holds until the attempt reports, in case it ends before.
	r.NotBefore, r.Cause, r.Notices = time.Time{}, nil, nil
	why := ""
	switch {
	case a.Resume != "":
		why = "continues from " + a.Resume
	case r.NextResume == ResumeStart, r.Rollback != nil && r.Rollback.Attempt == a.Number-1:
		why = "continues from the beginning"
	}
	return r.Transition(Dispatching, Console, why, now)
}
