package access

import (
	"context"
	"iter"
	"maps"
	"slices"
)

// Identity is who asks, as of one request. The zero Identity is nobody.
type Identity struct {
	User          UserID
	Name          string // login name; the actor of events
	Administrator bool
	Roles         map[string]Role // by project; shared, never changed

	First   *Duty   // comes before anything else; nil for nothing
	Session string  // ID of the session, "" without
	Token   TokenID // the API token, "" without
	Limit   *Limit  // of the token; nil for none
}

// Limit is what a token may do at most: never more than its owner may.
type Limit struct {
	Project string  // "" for every project of its owner
	Scopes  []Scope // any of these
}

// Local is everybody on a console started with --dev, which has no log-in and listens on loopback only.
func Local() Identity { return Identity{User: "local", Name: "local", Administrator: true} }

// Machine is whoever has the console's data in hand, without asking the console.
func Machine() Identity {
	return Identity{User: "machine", Name: "the console's machine", Administrator: true}
}

// Known reports whether anybody is signed in.
func (i Identity) Known() bool { return i.User != "" }

// May reports whether the identity has a right in a project, which only rights of [InProject] look at.
func (i Identity) May(right Right, project string) bool {
	rule := right.Rule()
	if rule.Right == Public {
		return true
	}
	if !i.Known() || !i.Limit.allows(rule) || i.First != nil && right != i.First.Right {
		return false
	}
	switch rule.Place {
	case Nowhere: // one's account is of no project
		return rule.Right == SignedIn || i.Limit.everywhere()
	case InProject:
		return i.role(project).Includes(rule.Role)
	case AnyProject:
		if i.Administrator && i.Limit.everywhere() {
			return true
		}
		for p := range i.members() {
			if i.role(p).Includes(rule.Role) {
				return true
			}
		}
		return false
	}
	return i.Administrator && i.Limit.everywhere()
}

// MayAnywhere reports whether the identity has the right in at least one project: whether to offer it at all.
func (i Identity) MayAnywhere(right Right) bool {
	if right.Rule().Place != InProject || i.Administrator && i.Limit.everywhere() {
		return i.May(right, "")
	}
	for p := range i.members() {
		if i.May(right, p) {
			return true
		}
	}
	return false
}

// Projects returns the projects in which the identity has a right: all, or these, sorted.
func (i Identity) Projects(right Right) (all bool, projects []string) {
	if i.Administrator && i.Limit.everywhere() {
		return i.May(right, ""), nil
	}
	for p := range i.members() {
		if i.May(right, p) {
			projects = append(projects, p)
		}
	}
	slices.Sort(projects)
	return false, projects
}

// ImpliedProject is the project in which the identity uses a right that names none: the default one, or else the only one; ""
// where it has to be named.
func (i Identity) ImpliedProject(right Right) string {
	all, may := i.Projects(right)
	switch {
	case all, slices.Contains(may, DefaultProject), len(may) == 0:
		return DefaultProject
	case len(may) == 1:
		return may[0]
	}
	return ""
}

// Includes reports whether the identity may do all that another may, of the same user with the same token.
func (i Identity) Includes(other Identity) bool {
	if i.User != other.User || other.Administrator && !i.Administrator {
		return false
	}
	for project, role := range other.Roles {
		if !i.Administrator && !i.Roles[project].Includes(role) {
			return false
		}
	}
	return true
}

// Role is the identity's role in a project, "" for none.
func (i Identity) Role(project string) Role { return i.role(project) }

func (i Identity) role(project string) Role {
	if l := i.Limit; l != nil && l.Project != "" && l.Project != project {
		return ""
	}
	if i.Administrator {
		return Admin
	}
	return i.Roles[project]
}

// members are the projects that may matter: of an administrator's limited token that one alone.
func (i Identity) members() iter.Seq[string] {
	if i.Administrator && i.Limit != nil && i.Limit.Project != "" {
		return slices.Values([]string{i.Limit.Project})
	}
	return maps.Keys(i.Roles)
}

func (l *Limit) everywhere() bool { return l == nil || l.Project == "" }

func (l *Limit) allows(rule Rule) bool {
	return l == nil || slices.ContainsFunc(l.Scopes, func(s Scope) bool { return s.allows(rule) })
}

type identityKey struct{}

// With returns a context of a request by an identity.
func With(ctx context.Context, i Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, i)
}

// From returns who asks; nobody if that was not found out.
func From(ctx context.Context) Identity {
	i, _ := ctx.Value(identityKey{}).(Identity)
	return i
}
