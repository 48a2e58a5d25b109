package nomad

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
)

// namespaces are those of projects that were asked about.
type namespaces struct {
	mu    sync.Mutex
	names map[string]bool
	more  chan struct{} // closed when there is another; nil before the first all
}

func (n *namespaces) add(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.names[name] {
		return
	}
	if n.names == nil {
		n.names = map[string]bool{}
	}
	n.names[name] = true
	if n.more != nil {
		close(n.more)
		n.more = nil
	}
}

// all returns the names, and a channel that is closed when there are more.
func (n *namespaces) all() ([]string, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.more == nil {
		n.more = make(chan struct{})
	}
	return slices.Sorted(maps.Keys(n.names)), n.more
}

// CheckSettings reports, as [run.FieldErrors], a namespace or node pool that a project is to have and Nomad lacks. What the token
// may not list is not checked.
func (c *Client) CheckSettings(ctx context.Context, before, after access.Settings) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var errs run.FieldErrors
	for _, s := range []struct{ field, old, value, endpoint, what, command string }{
		{"namespace", before.Namespace, after.Namespace, "/v1/namespaces", "namespaces", "nomad namespace apply "},
		{"node_pool", before.NodePool, after.NodePool, "/v1/node/pools", "node pools", "nomad node pool init, then nomad node pool apply"},
	} {
		if s.value == "" || s.value == s.old {
			continue
		}
		found, _, err := list[struct{ Name string }](c, "list "+s.what, s.endpoint, query(ctx))
		if errors.Is(err, ErrDenied) {
			continue
		}
		if err != nil {
			return err
		}
		var names []string
		for _, f := range found {
			names = append(names, clean(f.Name))
		}
		if slices.Contains(names, s.value) {
			continue
		}
		command := s.command
		if s.field == "namespace" {
			command += s.value
		}
		errs = append(errs, run.FieldError{
			Field: s.field, Value: s.value, Rule: fmt.Sprintf("is none of Nomad's %s (%s)", s.what, strings.Join(slices.Sorted(slices.Values(names)), ", ")),
			Fix: "use one of them, or make it: " + command,
		})
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}
