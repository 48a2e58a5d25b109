package audit

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
)

// Outcome is how what was tried ended.
type Outcome string

// The outcomes.
const (
	Begun   Outcome = "begun" // what no transaction of the store can include; another entry says how it ended
	Done    Outcome = "done"
	Refused Outcome = "refused" // who asked may not, or it was not them
	Failed  Outcome = "failed"
)

// Entry is one row of the audit log.
type Entry struct {
	Seq     int64     `json:"seq"`    // from 1, without gaps; assigned by the store
	At      time.Time `json:"at"`     // when it was asked for or done, to the millisecond
	Logged  time.Time `json:"logged"` // when the store appended it, never before the entry before
	Actor   Actor     `json:"actor"`
	Request string    `json:"request,omitempty"` // ID of the request
	Action  string    `json:"action"`            // such as runs.stop, password.reset or login; what was refused has the right that lacked; see [RetentionAction]
	Project string    `json:"project,omitempty"`
	Subject string    `json:"subject,omitempty"` // run:r-..., user:ann, template:baseline, ...
	Outcome Outcome   `json:"outcome"`
	Reason  string    `json:"reason,omitempty"` // why it was refused or failed
	// Before and After are what changed, as JSON without secrets; nil for what was not or is no more.
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// Console is the actor of what the console does by itself.
const Console = "cotrain"

// RetentionAction is the action of the console that removes the oldest entries.
const RetentionAction = "audit.retention"

// Cut is what an entry of [RetentionAction] has as After: the newest entry that was removed.
type Cut struct {
	Through int64  `json:"through"`
	Hash    string `json:"hash"`
}

// Limits of an entry's texts, in bytes.
const (
	maxName    = 256
	maxAgent   = 256
	maxSubject = 512
	maxReason  = 1024
)

// Clean returns the entry as it is stored: texts are valid UTF-8 of bounded size without NUL, times have milliseconds.
func (e Entry) Clean() Entry {
	for _, t := range []struct {
		text *string
		most int
	}{
		{(*string)(&e.Actor.User), maxName}, {&e.Actor.Name, maxName}, {(*string)(&e.Actor.Token), maxName}, {&e.Actor.Session, maxName},
		{&e.Actor.Address, maxName}, {&e.Actor.Agent, maxAgent}, {&e.Request, maxName}, {&e.Action, maxName}, {&e.Project, maxName},
		{&e.Subject, maxSubject}, {(*string)(&e.Outcome), maxName}, {&e.Reason, maxReason},
	} {
		if *t.text != "" {
			*t.text = fault.Clip(strings.ReplaceAll(*t.text, "\x00", "\uFFFD"), t.most)
		}
	}
	e.At, e.Logged = e.At.UTC().Truncate(time.Millisecond), e.Logged.UTC().Truncate(time.Millisecond)
	return e
}

// Actor is who did it.
type Actor struct {
	User    access.UserID  `json:"user,omitempty"`
	Name    string         `json:"name,omitempty"` // login name; what was typed where it is unknown
	Token   access.TokenID `json:"token,omitempty"`
	Session string         `json:"session,omitempty"` // ID, no secret
	Address string         `json:"address,omitempty"` // IP address
	Agent   string         `json:"agent,omitempty"`   // User-Agent
}

// Pending is an entry about a change that is under way. The store appends it in the transaction that changes something, so
// that there is neither a change without its entry nor an entry without its change.
type Pending struct {
	Entry
	recorded bool
}

// Record marks the entry as appended in a transaction that committed, or not.
func (p *Pending) Record(committed bool) { p.recorded = committed }

// Recorded reports whether it was appended.
func (p *Pending) Recorded() bool { return p.recorded }

type pendingKey struct{}

// Begin returns a context in which a change is made that the entry is about.
func Begin(ctx context.Context, e Entry) (context.Context, *Pending) {
	p := &Pending{Entry: e}
	return context.WithValue(ctx, pendingKey{}, p), p
}

// Of returns the entry of the change under way; nil for what the console does by itself, which is not audited.
func Of(ctx context.Context) *Pending {
	p, _ := ctx.Value(pendingKey{}).(*Pending)
	return p
}

// JSON is a value as it stands in Before and After; nil for what cannot be encoded.
func JSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if v == nil || err != nil {
		return nil
	}
	return b
}

type requestKey struct{}

// Request is what an entry tells of the request.
type Request struct{ ID, Address, Agent string }

// WithRequest returns a context of a request.
func WithRequest(ctx context.Context, r Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// ActorOf returns who asks, and the ID of the request.
func ActorOf(ctx context.Context) (Actor, string) {
	i := access.From(ctx)
	r, _ := ctx.Value(requestKey{}).(Request)
	return Actor{User: i.User, Name: i.Name, Token: i.Token, Session: i.Session, Address: r.Address, Agent: r.Agent}, r.ID
}
