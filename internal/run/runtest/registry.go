// Package runtest is registered secrets in memory, for tests of what shows them.
package runtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Refused is the path of a variable that the console may not write.
const Refused = "cotrain/refused"

// Registry is registered secrets that everybody may see and change. The zero Registry has none.
type Registry struct {
	mu      sync.Mutex
	secrets []run.Secret
	uses    run.SecretUses
	values  map[string]string
}

// NewRegistry returns one with these secrets.
func NewRegistry(secrets ...run.Secret) *Registry { return &Registry{secrets: secrets} }

// SetUses sets what asks for every secret.
func (g *Registry) SetUses(uses run.SecretUses) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.uses = uses
}

// Value is what was stored of a secret.
func (g *Registry) Value(name string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.values[name]
}

// Secrets returns those that runs of a project may use, "" for all.
func (g *Registry) Secrets(_ context.Context, project string) ([]run.Secret, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []run.Secret
	for _, s := range g.secrets {
		if project == "" || s.UsableBy(project) {
			out = append(out, s)
		}
	}
	return out, nil
}

func (g *Registry) find(name string) (int, error) {
	i := slices.IndexFunc(g.secrets, func(s run.Secret) bool { return s.Name == name })
	if i < 0 {
		return i, run.NoSecret(name)
	}
	return i, nil
}

// Secret returns one, and what asks for it.
func (g *Registry) Secret(_ context.Context, name string) (run.Secret, run.SecretUses, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i, err := g.find(name)
	if err != nil {
		return run.Secret{}, g.uses, err
	}
	return g.secrets[i], g.uses, nil
}

// Register adds one.
func (g *Registry) Register(_ context.Context, s run.Secret) (run.Secret, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := s.Check(); err != nil {
		return s, err
	}
	if _, err := g.find(s.Name); err == nil {
		return s, fault.New(fault.ErrConflict, fmt.Sprintf("There is a secret %s already.", s.Name), "Choose another name, or change that one.")
	}
	g.secrets = append(g.secrets, s)
	slices.SortFunc(g.secrets, func(a, b run.Secret) int { return strings.Compare(a.Name, b.Name) })
	return s, nil
}

// Change changes one.
func (g *Registry) Change(_ context.Context, s run.Secret) (run.Secret, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i, err := g.find(s.Name)
	if err == nil {
		err = s.Check()
	}
	if err == nil {
		g.secrets[i] = s
	}
	return s, err
}

// Remove removes one.
func (g *Registry) Remove(_ context.Context, name string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	i, err := g.find(name)
	if err == nil {
		g.secrets = slices.Delete(g.secrets, i, i+1)
	}
	return err
}

// Set keeps a value, unless its path is [Refused].
func (g *Registry) Set(_ context.Context, name, value string) ([]string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i, err := g.find(name)
	if err != nil {
		return nil, err
	}
	if g.secrets[i].Path == Refused {
		return nil, fault.New(fault.ErrNotPossible, "Nomad does not let the console write the variable.", "Store it yourself: nomad var put "+Refused)
	}
	if g.values == nil {
		g.values = map[string]string{}
	}
	g.values[name] = value
	return []string{"default"}, nil
}
