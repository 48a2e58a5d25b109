package access

import (
	"fmt"
	"strings"
	"time"
)

// Grant is a role in a project, or, with an empty project, that of an administrator of the console.
type Grant struct {
	Project string `json:"project,omitempty"`
	Role    Role   `json:"role,omitempty"` // "" for an administrator
}

// Administrates reports whether the grant makes an administrator of the console.
func (g Grant) Administrates() bool { return g.Project == "" }

// String is the grant as [ParseGroupGrant] reads it.
func (g Grant) String() string {
	if g.Administrates() {
		return administrator
	}
	return g.Project + ":" + string(g.Role)
}

const administrator = "administrator"

// GroupGrant is what the members of a group at the provider of log-ins have.
type GroupGrant struct {
	Group string
	Grant
}

// ParseGroupGrant reads GROUP=administrator or GROUP=PROJECT:ROLE. A group's name may have equals signs.
func ParseGroupGrant(s string) (GroupGrant, error) {
	at := strings.LastIndexByte(s, '=')
	if at < 1 || strings.TrimSpace(s[:at]) == "" {
		return GroupGrant{}, fmt.Errorf("%.80q is not GROUP=PROJECT:ROLE or GROUP=administrator", s)
	}
	out, what := GroupGrant{Group: strings.TrimSpace(s[:at])}, strings.TrimSpace(s[at+1:])
	if what == administrator {
		return out, nil
	}
	project, name, found := strings.Cut(what, ":")
	role, err := ParseRole(name)
	switch {
	case !found:
		return GroupGrant{}, fmt.Errorf("%.80q is neither administrator nor PROJECT:ROLE", what)
	case !CheckProjectName(project):
		return GroupGrant{}, fmt.Errorf("%.80q is no name of a project", project)
	case err != nil:
		return GroupGrant{}, err
	}
	out.Project, out.Role = project, role
	return out, nil
}

// ProviderIdentity is who a user is at a provider of log-ins: the subject is the provider's for ever, other than names and
// email addresses.
type ProviderIdentity struct {
	Issuer    string    `json:"issuer"`
	Subject   string    `json:"subject"`
	User      UserID    `json:"user"`
	CreatedAt time.Time `json:"created_at"`
}
