package storage

import (
	"context"
	"path"
	"slices"
	"strings"
)

// MaxCompletions is the most paths that [Storage.Complete] returns.
const MaxCompletions = 50

// Complete returns paths that begin as a person has begun to type one, sorted; those of folders end with a slash. A prefix
// that begins with the mount is completed to paths that do. Names that cannot be typed into a field that takes a list
// are left out, checkpoints that nothing can go on from, and hidden names unless the prefix names them.
func (s *Storage) Complete(ctx context.Context, prefix string, limit int) ([]string, error) {
	if limit <= 0 || limit > MaxCompletions {
		limit = MaxCompletions
	}
	mount := ""
	if path.IsAbs(prefix) {
		rest, ok := strings.CutPrefix(prefix, strings.TrimSuffix(s.mount, "/")+"/")
		if !ok {
			return nil, nil // somewhere else
		}
		mount, prefix = prefix[:len(prefix)-len(rest)], rest
	}
	dir, start := path.Split(prefix)
	p, err := clean(dir)
	if err != nil {
		return nil, nil // nobody has finished typing yet
	}
	return await(ctx, s, func(ctx context.Context) ([]string, error) {
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
			info, err := s.root.Stat(full)
			if err != nil { // it has vanished, or leads out
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

// begins reports whether a name begins with what was typed, in any case.
func begins(name, typed string) bool {
	if strings.HasPrefix(name, ".") && !strings.HasPrefix(typed, ".") {
		return false
	}
	return len(name) >= len(typed) && strings.EqualFold(name[:len(typed)], typed)
}
