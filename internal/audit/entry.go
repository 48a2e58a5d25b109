package audit

import (
	"context"
	"encoding/json"
	"time"

	"github.com/cotrain/cotrain/internal/access"
)

// Outcome is how what was tried ended.
type Outcome string

// The outcomes.
const (
	Done    Outcome = "done"
	Refused Outcome = "refused" // who asked may not, or it was not them
	Failed  Outcome = "failed"
)

// Entry is one row of the audit log.
type Entry struct {
	Seq     int64     `json:"seq"` // from 1, without gaps; assigned by the store
	At      time.Time `json:"at"`
	Actor   Actor     `json:"actor"`
	Request string    `json:"request,omitempty"` // ID of the request
	Action  string    `json:"action"`            // a right, such as runs.stop, or login, logout, ...
	Project string    `json:"project,omitempty"`
	Subject string    `json:"subject,omitempty"` // run:r-..., user:ann, template:baseline, ...
	Outcome Outcome   `json:"outcome"`
	Reason  string    `json:"reason,omitempty"` // why it was refused or failed
	// Before and After are what changed, as JSON without secrets; nil for what was not or is no more.
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
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
