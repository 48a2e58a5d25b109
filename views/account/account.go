package account

import (
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/views/ui"
)

// Account is the page of who is signed in.
type Account struct {
	User     access.User
	Now      time.Time
	Notice   string // what was done, or ""
	Tokens   []access.Token
	Secret   string // of the token that was just made: shown once
	Token    TokenForm
	Sessions []access.Session
	Passkeys Passkeys
}

// Password is the page on which a password is changed.
type Password struct {
	User   access.User
	Fields []ui.Field
}

// TokenForm asks for a new API token.
type TokenForm struct {
	Open    bool
	Fields  []ui.Field // name, scope, project and expiry
	Rights  []ui.Field // a checkbox each
	Problem string     // what is wrong with no field in particular, or ""
}

// picked reports whether a right is ticked.
func (f TokenForm) picked() bool {
	for _, r := range f.Rights {
		if r.Value == "true" {
			return true
		}
	}
	return false
}

func scopes(t access.Token) string {
	names := make([]string, len(t.Scopes))
	for i, s := range t.Scopes {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

func expired(t access.Token, now time.Time) bool {
	return !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt)
}

// others reports whether there are sessions beside the reader's.
func (a Account) others() bool { return len(a.Sessions) > 1 }
