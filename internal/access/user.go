package access

import (
	"context"
	"regexp"
	"time"
)

// UserID names a user for ever; login names may not be used again either.
type UserID string

// Kind is what kind of user it is.
type Kind string

// The kinds.
const (
	Person  Kind = "person"
	Service Kind = "service" // a service account: has tokens, cannot sign in
)

// User is a person or a service account.
type User struct {
	ID            UserID `json:"id"`
	Name          string `json:"name"` // login name; see [CheckUserName]
	Kind          Kind   `json:"kind"`
	DisplayName   string `json:"display_name,omitempty"`
	Email         string `json:"email,omitempty"`
	Administrator bool   `json:"administrator"`
	ByGroups      bool   `json:"administrator_by_groups,omitempty"` // is one as long as the provider of log-ins says so
	Disabled      bool   `json:"disabled"`
	Deleted       bool   `json:"deleted,omitempty"` // kept for its name, which runs and the audit log tell
	HasPassword   bool   `json:"has_password"`
	// OneTimePassword is that somebody else chose the password: the user has to change it before anything else.
	OneTimePassword bool      `json:"one_time_password,omitempty"`
	SecondFactor    bool      `json:"second_factor,omitempty"` // an app that makes codes
	Passkeys        int       `json:"passkeys,omitempty"`
	CreatedAt       time.Time `json:"created_at"`
	SeenAt          time.Time `json:"seen_at,omitzero"` // last use, to the minute
}

type servicesKey struct{}

// WithServices returns a context in which [IsService] knows which names are of service accounts.
func WithServices(ctx context.Context, is func(name string) bool) context.Context {
	return context.WithValue(ctx, servicesKey{}, is)
}

// IsService reports whether a login name is that of a service account, or was. Names are not given again.
func IsService(ctx context.Context, name string) bool {
	is, ok := ctx.Value(servicesKey{}).(func(string) bool)
	return ok && is(name)
}

// Session is one browser that is signed in, without its secret.
type Session struct {
	ID        string    `json:"id"`
	User      UserID    `json:"user"`
	CreatedAt time.Time `json:"created_at"`
	SeenAt    time.Time `json:"seen_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Address   string    `json:"address"`
	Agent     string    `json:"agent"` // User-Agent
	Current   bool      `json:"current,omitempty"`
	Issuer    string    `json:"issuer,omitempty"` // the provider that it was signed in by, or [PasskeyIssuer]; "" for a password
	// SecondFactor is that the provider says to have asked for one.
	SecondFactor bool `json:"second_factor,omitempty"`
}

// Member is a user's role in a project.
type Member struct {
	Project string `json:"project"`
	User    UserID `json:"user"`
	Name    string `json:"name"` // login name
	Kind    Kind   `json:"kind"`
	Role    Role   `json:"role,omitempty"`
	// ByGroups is the role that the groups at the provider of log-ins give, "" for none.
	ByGroups Role `json:"role_by_groups,omitempty"`
}

// Effective is the role that counts: the higher one.
func (m Member) Effective() Role {
	if m.ByGroups.Includes(m.Role) {
		return m.ByGroups
	}
	return m.Role
}

var userName = regexp.MustCompile(`^[a-z0-9][a-z0-9._@+-]{0,126}$`)

// CheckUserName reports whether a login name has the right form: ASCII only, so that no two look alike.
func CheckUserName(name string) bool { return userName.MatchString(name) }
