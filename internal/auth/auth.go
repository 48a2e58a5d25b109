package auth

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/auth/passkey"
	"github.com/cotrain/cotrain/internal/store/accounts"
)

const (
	// pollEvery is how soon a change is noticed that another program made in the database: a role that was taken away has to
	// count within a second.
	pollEvery = 500 * time.Millisecond
	// saveEvery is how precisely it is stored when sessions and tokens were last used: a write for each request would make
	// reading pages as expensive as changing something.
	saveEvery = time.Minute
	// dropEvery is how often expired sessions, which count no more in any case, are removed from the store.
	dropEvery = time.Hour
	// endTimeout bounds the last write when the console stops.
	endTimeout = 2 * time.Second
)

// Audit is the audit log, for what changes nothing.
type Audit interface {
	AppendAlone(ctx context.Context, entries ...audit.Entry) error
}

// Options is what a Service is made from; what has no comment is needed.
type Options struct {
	Accounts *accounts.Accounts
	Audit    Audit
	Logger   *slog.Logger
	Now      func() time.Time

	Public      *url.URL  // where browsers find the console; nil on loopback, where it is where they ask
	Provider    *Provider // nil where people sign in with passwords only
	NoPasswords bool      // nobody signs in with a password
	// RequireSecondFactor says who must have one: RequireNone (or ""), RequireAdministrators, RequireEverybody.
	RequireSecondFactor string
	// Placement judges new settings of a project against the cluster and shared storage; nil accepts all.
	Placement func(ctx context.Context, before, after access.Settings) error
	// SecretKey encrypts the secrets of second factors in the store; "" leaves them plain.
	SecretKey string
}

// Service is the log-in of a console.
type Service struct {
	accounts *accounts.Accounts
	audit    Audit
	log      *slog.Logger
	now      func() time.Time

	provider    *Provider
	noPasswords bool

	public        *url.URL
	passkeyDomain string
	challenges    *passkey.Challenges

	hashes  *hasher
	lockout *lockout
	setUp   setUp

	programs programs
	factors  factors

	require   string // RequireNone, ...
	secretKey string // "" for none
	placement func(ctx context.Context, before, after access.Settings) error

	loading  sync.Mutex // one load at a time
	snapshot atomic.Pointer[snapshot]

	mu      sync.Mutex
	changed chan struct{}               // closed at the next change
	seen    map[reference]accounts.Seen // not stored yet
}

// New returns a Service that knows who may do what.
func New(ctx context.Context, o Options) (*Service, error) {
	s := &Service{
		accounts: o.Accounts, audit: o.Audit, log: o.Logger, now: o.Now, hashes: newHasher(), lockout: newLockout(o.Now),
		programs: programs{all: map[string]*program{}}, provider: o.Provider, noPasswords: o.NoPasswords,
		require: o.RequireSecondFactor, secretKey: o.SecretKey, placement: o.Placement, factors: factors{logIns: map[string]pending{}, enrolments: map[string]enrolment{}},
		public: o.Public, passkeyDomain: passkeyDomain(o.Public), challenges: passkey.NewChallenges(o.Now),
		changed: make(chan struct{}), seen: map[reference]accounts.Seen{},
	}
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	if !s.snapshot.Load().hasAdministrator() {
		s.setUp.open()
	}
	return s, nil
}

// Run follows changes that others make and stores when sessions and tokens were used, until ctx ends. What fails is tried again.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	saved, dropped := s.now(), time.Time{}
	var last error
	for {
		select {
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
			defer cancel()
			return s.saveSeen(end)
		case <-tick.C:
		}
		err := s.follow(ctx)
		if now := s.now(); err == nil && now.Sub(saved) >= saveEvery {
			saved = now
			s.lockout.sweep()
			s.factors.sweep(now)
			err = s.saveSeen(ctx)
		}
		if now := s.now(); err == nil && now.Sub(dropped) >= dropEvery {
			dropped = now
			err = s.accounts.DropExpired(ctx, now, now.Add(-idleLifetime), now.Add(-deviceLifetime))
		}
		if err != nil && ctx.Err() == nil && (last == nil || err.Error() != last.Error()) {
			s.log.Warn("accounts cannot be read or written; retrying", "err", err)
		}
		last = err
	}
}

// follow loads what has changed.
func (s *Service) follow(ctx context.Context) error {
	revision, err := s.accounts.AccessRevision(ctx)
	if err != nil || revision == s.snapshot.Load().revision {
		return err
	}
	return s.load(ctx)
}

// load reads who may do what, and tells those who wait for a change.
func (s *Service) load(ctx context.Context) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	state, err := s.accounts.Access(ctx)
	if err != nil {
		return err
	}
	s.snapshot.Store(newSnapshot(state))
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

// after makes a change that was stored, or may have been, count at once.
func (s *Service) after(ctx context.Context, err error) error {
	if loading := s.load(context.WithoutCancel(ctx)); loading != nil {
		s.log.Warn("a change of accounts counts late", "err", loading) // Run loads it
	}
	return err
}

// Changed is closed at the next change of who may do what; see [Service.Still].
func (s *Service) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// note remembers that a session or token was used, to be stored by [Service.Run].
func (s *Service) note(ref reference, seen accounts.Seen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[ref] = seen
}

// lastSeen is when what matches was last used, as far as it is not stored yet, or stored.
func (s *Service) lastSeen(stored time.Time, matches func(accounts.Seen) bool) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seen := range s.seen {
		if matches(seen) && seen.At.After(stored) {
			stored = seen.At
		}
	}
	return stored
}

func (s *Service) userSeen(u access.User) access.User {
	u.SeenAt = s.lastSeen(u.SeenAt, func(seen accounts.Seen) bool { return seen.User == u.ID })
	return u
}

// tokens returns a user's API tokens, the newest first.
func (s *Service) tokens(ctx context.Context, user access.UserID) ([]access.Token, error) {
	all, err := s.accounts.Tokens(ctx, user)
	for i := range all {
		all[i].UsedAt = s.lastSeen(all[i].UsedAt, func(seen accounts.Seen) bool { return seen.Token == all[i].ID })
	}
	return all, err
}

func (s *Service) saveSeen(ctx context.Context) error {
	s.mu.Lock()
	taken := s.seen
	s.seen = map[reference]accounts.Seen{}
	s.mu.Unlock()
	if len(taken) == 0 {
		return nil
	}
	all := make([]accounts.Seen, 0, len(taken))
	for _, seen := range taken {
		all = append(all, seen)
	}
	err := s.accounts.SaveSeen(ctx, all)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		for ref, seen := range taken {
			if _, newer := s.seen[ref]; !newer {
				s.seen[ref] = seen
			}
		}
	}
	return err
}

// snapshot is who may do what as of a revision. It is not changed, but for credentials that are looked up.
type snapshot struct {
	revision int64
	users    map[access.UserID]access.User
	byName   map[string]access.UserID
	roles    map[access.UserID]map[string]access.Role
	projects []access.Project
	members  []access.Member

	mu          sync.RWMutex
	credentials map[reference]*credential
}

func newSnapshot(state accounts.State) *snapshot {
	n := &snapshot{
		revision: state.Revision, projects: state.Projects, members: state.Members,
		users: map[access.UserID]access.User{}, byName: map[string]access.UserID{}, roles: map[access.UserID]map[string]access.Role{},
		credentials: map[reference]*credential{},
	}
	for _, u := range state.Users {
		n.users[u.ID], n.byName[u.Name] = u, u.ID
	}
	for _, m := range state.Members {
		if n.roles[m.User] == nil {
			n.roles[m.User] = map[string]access.Role{}
		}
		n.roles[m.User][m.Project] = m.Effective()
	}
	return n
}

// user returns a user who may use the console.
func (n *snapshot) user(id access.UserID) (access.User, bool) {
	u, ok := n.users[id]
	return u, ok && !u.Disabled && !u.Deleted
}

// hasAdministrator reports whether anybody may manage users. Those that were made with --dev need not.
func (n *snapshot) hasAdministrator() bool {
	for id, u := range n.users {
		if _, may := n.user(id); may && u.Administrator {
			return true
		}
	}
	return false
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
