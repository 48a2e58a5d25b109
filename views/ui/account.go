package ui

import (
	"cmp"
	"strconv"

	"github.com/cotrain/cotrain/internal/access"
)

// Account is who looks at a page, and what the frame offers them. The zero Account is nobody.
type Account struct {
	SignedIn      bool
	Local         bool // on a console without log-in
	First         bool // has to do something before anything else
	ID            string
	Name          string
	Administrator bool
	Role          access.Role             // in the selected or only project
	Project       string                  // the selected one, "" for all that one may see
	Projects      []string                // that one may see, sorted
	May           func(access.Right) bool // in at least one project; nil for nothing
	Admin         bool                    // accounts and projects are managed on this console
}

// free reports whether the account may do anything yet.
func (a Account) free() bool { return a.SignedIn && !a.First }

// may reports whether to offer what needs a right.
func (a Account) may(r access.Right) bool { return a.May != nil && a.May(r) }

// administers reports whether there is anything behind the entry Administration.
func (a Account) administers() bool {
	return a.Admin && (a.may(access.UsersManage) || a.may(access.ProjectsManage) || a.may(access.MembersManage) || a.may(access.AuditRead))
}

// one is the selected or only project, "" where lists show several.
func (a Account) one() string {
	if len(a.Projects) == 1 {
		return a.Projects[0]
	}
	return a.Project
}

// Several reports whether there is a project to choose.
func (a Account) Several() bool { return len(a.Projects) > 1 }

func (a Account) project() string { return cmp.Or(a.Project, "All projects") }

// standing says what the account is in a few words.
func (a Account) standing() string {
	switch {
	case a.Local:
		return "No log-in on this console"
	case a.Administrator:
		return "Administrator"
	case a.Role != "":
		return string(a.Role) + " in " + a.one()
	case len(a.Projects) == 0:
		return "Member of no project"
	}
	return "Member of " + strconv.Itoa(len(a.Projects)) + " projects"
}

// filtered is from how many projects on the switcher has a filter.
const filtered = 8

// NavEntry is an entry of the navigation, which leads to what needs a right.
type NavEntry struct {
	Key, Href, Label, icon string
	Right                  access.Right
}

// Navigation is in the order in which a person works.
func Navigation() []NavEntry {
	return []NavEntry{
		{"runs", "/", "Runs", "runs", access.RunsRead},
		{"sweeps", "/sweeps", "Sweeps", "sweeps", access.RunsRead},
		{"cluster", "/cluster", "Cluster", "node", access.ClusterRead},
		{"storage", "/storage", "Storage", "folder", access.StorageRead},
		{"templates", "/templates", "Templates", "templates", access.TemplatesRead},
	}
}
