package storage

import (
	"context"
	"path"
	"slices"
	"strings"
)

// MaxCompletions bounds [Storage.Complete].
const MaxCompletions = 50

// Complete returns the sorted paths that start with prefix; folders end with a slash. A prefix in the mount gives paths
// in the mount. Left out are names that a list field cannot hold, incomplete checkpoints, and hidden names unless asked
// for.
func (s *Storage) Complete(ctx context.Context, prefix string, limit int) ([]string, error) {
	if limit <= 0 || limit > MaxCompletions {
		limit = MaxCompletions
	}
	mount := ""
	if path.IsAbs(prefix) {
		rest, ok := strings.CutPrefix(prefix, strings.TrimSuffix(s.mount, "/")+"/")
		if !ok {
			return nil, nil // elsewhere
		}
		mount, prefix = prefix[:len(prefix)-len(rest)], rest
	}
	dir, start := path.Split(prefix)
	p, err := clean(dir)
	if err != nil {
		return nil, nil // still typing
	}
	return await(ctx, s, func(ctx context.Context, s *Storage) ([]string, error) {
		var fitting []string
		for _, name := range s.names(p, s.limits.suggest) {
			if begins(name, start) && plain(name) {
				fitting = append(fitting, name)
			}
		}
		slices.SortFunc(fitting, natural)
		var out []string
		for _, name := range fitting {
			if len(out) == limit || ctx.Err() != nil {
				break
			}
			full := join(p, name)
			info, err := s.stat(full)
			if err != nil { // vanished, or leads out
				continue
			}
			if info.IsDir() {
				if stepName.MatchString(name) && s.useless(ctx, full) {
					continue
				}
				full += "/"
			} else if !info.Mode().IsRegular() {
				continue
			}
			out = append(out, mount+full)
		}
		return out, ctx.Err()
	}, nil)
}

func begins(name, typed string) bool {
	if strings.HasPrefix(name, ".") && !strings.HasPrefix(typed, ".") {
		return false
	}
	return len(name) >= len(typed) && strings.EqualFold(name[:len(typed)], typed)
}
