package account

import (
	"context"
	"net/http"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
)

// LogIns lets people in and out.
type LogIns interface {
	// LogIn and SetUp set the cookie of a new session. LogIn is [fault.ErrSecondFactor] where a code is missing.
	LogIn(w http.ResponseWriter, r *http.Request, name, password string) error
	// LogOut returns where the provider ends its own session, "" for nowhere.
	LogOut(w http.ResponseWriter, r *http.Request) (elsewhere string, err error)
	// Ended reports whether a request has a session that does not count any more.
	Ended(r *http.Request) bool
	// IsSetUp reports whether there is anybody who could sign in; while not, CheckSetUp and SetUp accept the code of a link.
	// CheckFirst says what is wrong with a name and password for SetUp.
	IsSetUp() bool
	CheckSetUp(code string) error
	CheckFirst(name, password string) run.FieldErrors
	SetUp(w http.ResponseWriter, r *http.Request, code, name, password string) error
}

// AtProvider lets people in who sign in at a provider.
type AtProvider interface {
	// Ways are how one signs in: with a password, and at a provider, to which link leads; "" for none.
	Ways(r *http.Request, next string) (passwords bool, provider, link string)
	BeginAtProvider(w http.ResponseWriter, r *http.Request, next string) (to string, err error)
	// FinishAtProvider returns where to go, or on an error, as of LogIn, where one wanted to go.
	FinishAtProvider(w http.ResponseWriter, r *http.Request) (next string, err error)
}

// Own is the account of who is signed in.
type Own interface {
	// Account also returns the token that the request uses, nil for none.
	Account(ctx context.Context) (access.User, *access.Token, error)
	ChangePassword(ctx context.Context, current, password string) error
	Sessions(ctx context.Context) ([]access.Session, error)
	EndSession(ctx context.Context, id string) error
	EndOtherSessions(ctx context.Context) error
}

// Tokens are the API tokens of who is signed in.
type Tokens interface {
	Tokens(ctx context.Context) ([]access.Token, error)
	// CreateToken takes name, scopes, project and expiry. What is not valid is [run.FieldErrors].
	CreateToken(ctx context.Context, t access.Token) (token access.Token, secret string, err error)
	RevokeToken(ctx context.Context, id access.TokenID) error
}

// Accounts is all of it.
type Accounts interface {
	LogIns
	AtProvider
	Own
	Tokens
	Programs
	Factors
	Passkeys
}

// Pages are the handlers.
type Pages struct {
	*page.Site
	LogIns   LogIns
	Provider AtProvider
	Own      Own
	Tokens   Tokens
	Programs Programs
	Factors  Factors
	Passkeys Passkeys
}

// New returns the handlers.
func New(s *page.Site, a Accounts) *Pages {
	return &Pages{Site: s, LogIns: a, Provider: a, Own: a, Tokens: a, Programs: a, Factors: a, Passkeys: a}
}
