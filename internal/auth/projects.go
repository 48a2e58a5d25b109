package auth

import "context"

// ProjectNames returns the names of all projects, sorted.
func (s *Service) ProjectNames(context.Context) []string {
	projects := s.snapshot.Load().projects
	out := make([]string, len(projects))
	for i, p := range projects {
		out[i] = p.Name
	}
	return out
}
