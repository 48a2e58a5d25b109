package audit

import (
	"slices"
	"time"
)

// Filter says which entries to find. The zero Filter finds nothing: say whose entries may be seen.
type Filter struct {
	AllProjects bool     // all entries, those of no project too
	Projects    []string // otherwise those of these

	Text         string // words that must all occur; see [Words]
	Actor        string // login name
	Action       string
	Subject      string
	Address      string
	Outcome      Outcome
	Since, Until time.Time // when they were logged: from, and before

	Before int64 // with lower numbers only; 0 for all
	Limit  int
}

// Within returns the filter for entries of the projects that may be seen, or of one of them, "" for all of these.
func (f Filter) Within(all bool, projects []string, one string) Filter {
	f.AllProjects, f.Projects = all, projects
	if one != "" {
		f.AllProjects, f.Projects = false, nil
		if all || slices.Contains(projects, one) {
			f.Projects = []string{one}
		}
	}
	return f
}
