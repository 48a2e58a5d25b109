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

// browsers and systems are what User-Agents are recognized by, the more specific first.
var (
	browsers = [...][2]string{{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"}}
	systems  = [...][2]string{{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"}, {"Linux", "Linux"}}
)

// device says what a User-Agent says it is.
func device(agent string) string {
	find := func(known [][2]string) string {
		for _, k := range known {
			if strings.Contains(agent, k[0]) {
				return k[1]
			}
		}
		return ""
	}
	browser, system := find(browsers[:]), find(systems[:])
	switch {
	case browser == "":
		return "Unknown browser"
	case system == "":
		return browser
	}
	return browser + " on " + system
}
