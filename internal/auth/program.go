package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/inbound"
	"github.com/cotrain/cotrain/internal/run"
)

// Log-ins of programs, after RFC 8628: a program shows a code, a person who is signed in enters it in a browser and agrees, and
// the program gets an API token. Those under way are in memory: there is one console to a database, and they live for minutes.
const (
	programLifetime = 10 * time.Minute
	programTokens   = 90 * 24 * time.Hour // lifetime of the token
	programEvery    = 5 * time.Second     // between two questions
	// maxPrograms are under way at once, and maxOfNetwork from one network.
	maxPrograms, maxOfNetwork = 1000, 20
	// A code is of 8 letters that nobody mistakes for another, none of them a vowel: 34 bits for 10 minutes, of which a
	// person may try few.
	codeLetters = "BCDFGHJKLMNPQRSTVWXZ"
	codeChars   = 8
)

// The limits of wrong codes, by person and by network.
var (
	codesPerUser = limit{10, 15 * time.Minute}
	codesPerNet  = limit{50, 15 * time.Minute}
)

var (
	errNoProgram = fault.New(fault.ErrNotFound, "No program waits with this code: it is mistyped, is older than 10 minutes, or was used.", "Check it, or start the log-in again.")
	errCodeEnded = fault.New(fault.ErrNotFound, "The log-in was not answered in time, or has ended.", "Start it again.")
	errUndone    = fault.New(fault.ErrForbidden, "The session in which the log-in was agreed to has ended.", "Start it again.")
	errDenied    = fault.New(fault.ErrForbidden, "The log-in was denied in the browser.", "")
)

// program is one under way.
type program struct {
	access.Program
	code   string // the person's
	net    netip.Prefix
	by     reference // the session in which somebody has agreed, which has to last; none yet where it is empty
	denied bool
	asked  time.Time
	every  time.Duration
}

// programs are those under way, by the key of their secret.
type programs struct {
	mu  sync.Mutex
	all map[string]*program
}

// find returns the program with a person's code.
func (p *programs) find(code string, now time.Time) *program {
	for _, x := range p.all {
		if x.code == code && now.Before(x.Expires) && x.by == (reference{}) && !x.denied {
			return x
		}
	}
	return nil
}

// add adds a program, or returns [fault.ErrBusy] where there are too many.
func (p *programs) add(key string, x *program, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	same := 0
	for key, other := range p.all {
		switch {
		case !now.Before(other.Expires):
			delete(p.all, key)
		case other.net == x.net:
			same++
		}
	}
	if len(p.all) >= maxPrograms || same >= maxOfNetwork {
		return fault.New(fault.ErrBusy, "Too many programs wait to be signed in.", "Answer or cancel those of your network, or try again in 10 min.")
	}
	for x.code == "" || p.find(x.code, now) != nil {
		x.code = newCode()
	}
	p.all[key] = x
	return nil
}

func newCode() string {
	var b [4 * codeChars]byte // more than enough: letters are drawn without a bias, 220 of 256 bytes count
	out := make([]byte, 0, codeChars)
	for len(out) < codeChars {
		_, _ = rand.Read(b[:])
		for _, c := range b {
			if n := len(codeLetters); int(c) < 256/n*n && len(out) < codeChars {
				out = append(out, codeLetters[int(c)%n])
			}
		}
	}
	return string(out)
}

// normalCode is a code as a person may write it.
func normalCode(code string) string {
	return strings.NewReplacer("-", "", " ", "").Replace(strings.ToUpper(fault.Cut(code, 64)))
}

// BeginProgram makes the codes of a program that asks to be signed in.
func (s *Service) BeginProgram(ctx context.Context, asks access.Program) (access.ProgramCodes, error) {
	t := access.Token{Name: asks.Name, Scopes: asks.Scopes}
	if err := s.checkToken(access.Identity{}, &t); err != nil {
		return access.ProgramCodes{}, err
	}
	if asks.Project != "" && !access.CheckProjectName(asks.Project) {
		return access.ProgramCodes{}, run.FieldErrors{run.NotAProject(asks.Project)}
	}
	now, secret := s.now(), newSecret()
	asks.Name, asks.Scopes, asks.Address, asks.Expires = t.Name, t.Scopes, addressOf(ctx), now.Add(programLifetime)
	x := &program{Program: asks, net: inbound.Of(ctx).Network(), every: programEvery}
	if err := s.programs.add(keyOf(secret), x, now); err != nil {
		return access.ProgramCodes{}, err
	}
	return access.ProgramCodes{Secret: secret, User: x.code[:codeChars/2] + "-" + x.code[codeChars/2:], Every: programEvery, Lifetime: programLifetime}, nil
}

// Program returns the program that waits with a person's code. Wrong codes are counted.
func (s *Service) Program(ctx context.Context, code string) (access.Program, error) {
	x, err := s.program(ctx, code)
	if err != nil {
		return access.Program{}, err
	}
	return x.Program, nil
}

// program is Program, or for who may not answer it an error that the audit log tells of.
func (s *Service) program(ctx context.Context, code string) (*program, error) {
	who := access.From(ctx)
	switch {
	case who.Session == "":
		return nil, s.denied(ctx, actionApproveProgram, "", errInBrowser)
	case who.First != nil:
		return nil, s.denied(ctx, actionApproveProgram, "", who.First.Err())
	}
	forgive, err := s.lockout.begin([]counter{
		{"code " + string(who.User), codesPerUser}, {"code " + inbound.Of(ctx).Network().String(), codesPerNet},
	})
	if err != nil {
		return nil, err
	}
	s.programs.mu.Lock()
	defer s.programs.mu.Unlock()
	x := s.programs.find(normalCode(code), s.now())
	if x == nil {
		return nil, errNoProgram
	}
	forgive()
	return x, nil
}

// AnswerProgram signs a program in as who is signed in, or denies that. A code is answered once.
func (s *Service) AnswerProgram(ctx context.Context, code string, agree bool) error {
	x, err := s.program(ctx, code)
	if err != nil {
		return err
	}
	who := access.From(ctx)
	if agree && x.Project != "" && !who.May(access.ProjectRead, x.Project) {
		return s.denied(ctx, actionApproveProgram, x.Project, fault.New(fault.ErrNoProject, "The program asks for the project "+x.Project+", which is none of yours.", "Deny it, and name another."))
	}
	action := actionDenyProgram
	if agree {
		action = actionApproveProgram
	}
	actor, request := audit.ActorOf(ctx)
	if err := s.audit.AppendAlone(ctx, audit.Entry{
		At: s.now(), Actor: actor, Request: request, Action: action, Subject: "user:" + who.Name, Outcome: audit.Done, Project: x.Project,
		After: audit.JSON(map[string]any{"name": x.Name, "address": x.Address, "scopes": x.Scopes}),
	}); err != nil {
		return err
	}
	s.programs.mu.Lock()
	defer s.programs.mu.Unlock()
	if x.by != (reference{}) || x.denied || !s.now().Before(x.Expires) {
		return errNoProgram // answered meanwhile
	}
	if x.denied = !agree; agree {
		x.by, _ = ctx.Value(referenceKey{}).(reference)
	}
	return nil
}

// EndProgram says whether a program is signed in: it returns the token, once; or a token without ID, and how long to wait before
// the next question, which is longer each time that it asks too soon.
func (s *Service) EndProgram(ctx context.Context, secret string) (token access.Token, tokenSecret string, wait time.Duration, err error) {
	x, err := s.takeProgram(keyOf(fault.Cut(secret, 2*tokenChars)), &wait)
	if err != nil || x == nil {
		return token, "", wait, err
	}
	who, err := s.identity(ctx, x.by, "") // as of now: whoever ends the session takes back what was agreed to in it
	switch {
	case errors.Is(err, fault.ErrSignedOut):
		return token, "", 0, errUndone
	case err != nil:
		return token, "", 0, err
	}
	token, tokenSecret, err = s.CreateToken(access.With(ctx, who), access.Token{
		Name: x.Name, Scopes: x.Scopes, Project: x.Project, ExpiresAt: s.now().Add(programTokens),
	})
	return token, tokenSecret, 0, err
}

// takeProgram removes a program that was answered, and returns it if somebody agreed.
func (s *Service) takeProgram(key string, wait *time.Duration) (*program, error) {
	p, now := &s.programs, s.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.all[key]
	switch {
	case x == nil:
		return nil, errCodeEnded
	case !now.Before(x.Expires):
		delete(p.all, key)
		return nil, errCodeEnded
	case x.denied:
		delete(p.all, key)
		return nil, errDenied
	case x.by != (reference{}):
		delete(p.all, key)
		return x, nil
	case !x.asked.IsZero() && now.Sub(x.asked) < x.every-time.Second: // a second for the network's jitter
		x.every += programEvery
	}
	x.asked, *wait = now, x.every
	return nil, nil //nolint:nilnil // waits, as documented
}

// RevokeOwnToken ends the API token that the request uses, whatever its scopes.
func (s *Service) RevokeOwnToken(ctx context.Context) error {
	id := access.From(ctx).Token
	if id == "" {
		return fault.ErrNoToken
	}
	return s.RevokeToken(ctx, id)
}
