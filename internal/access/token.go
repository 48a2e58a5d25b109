package access

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// TokenID names an API token: it is no secret.
type TokenID string

// Scope is what a token is for: a right, or every right of a role.
type Scope string

// The scopes that stand for many rights.
const (
	ScopeRead  Scope = "read"  // what a viewer may
	ScopeWrite Scope = "write" // what an operator may
	ScopeAll   Scope = "all"   // whatever its owner may
)

var scopeRole = map[Scope]Role{ScopeRead: Viewer, ScopeWrite: Operator}

// Scopes lists all scopes: those that stand for many rights first.
func Scopes() []Scope {
	all := []Scope{ScopeRead, ScopeWrite, ScopeAll}
	for _, r := range rights {
		if r.Place != Nowhere {
			all = append(all, Scope(r.Right))
		}
	}
	return all
}

// ParseScope reads the name of a scope.
func ParseScope(s string) (Scope, error) {
	if slices.Contains(Scopes(), Scope(s)) {
		return Scope(s), nil
	}
	names := make([]string, len(Scopes()))
	for i, known := range Scopes() {
		names[i] = string(known)
	}
	return "", fmt.Errorf("%.40q is no scope; use one of %s", s, strings.Join(names, ", "))
}

// allows reports whether the scope covers a right. What needs no role, but for managing the account, every token may.
func (s Scope) allows(rule Rule) bool {
	role := scopeRole[s]
	switch {
	case s == ScopeAll, rule.Right == SignedIn, Right(s) == rule.Right, Right(s).See() == rule.Right:
		return true
	case rule.Place == InProject, rule.Place == AnyProject:
		return role != "" && role.Includes(rule.Role)
	}
	return false
}

// Token is an API token without its secret.
type Token struct {
	ID        TokenID   `json:"id"`
	User      UserID    `json:"user"`
	Name      string    `json:"name"` // what it is for
	Scopes    []Scope   `json:"scopes"`
	Project   string    `json:"project,omitempty"` // "" for every project of its owner
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero for never
	UsedAt    time.Time `json:"used_at,omitzero"`    // to the minute
	UsedFrom  string    `json:"used_from,omitempty"` // address
}
