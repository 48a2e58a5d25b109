package storage

import (
	"context"
	"errors"
	"io/fs"
	"os"
)

// Usage is the content of a file or folder.
type Usage struct {
	Files   int64 // all but folders
	Folders int64 // including itself
	Bytes   int64 // of regular files; links are not followed
	// Partial means that a limit, the time or an unreadable entry ended the count early.
	Partial bool
}

// Usage counts what is below a path, itself included, without following links. A Partial result is no error.
func (s *Storage) Usage(ctx context.Context, path string) (Usage, error) {
	p, err := clean(path)
	if err != nil {
		return Usage{}, err
	}
	return await(ctx, s, func(ctx context.Context, s *Storage) (Usage, error) {
		if s.hides(p) {
			return Usage{}, explain(path, notThere(p))
		}
		parent, name, err := s.parentOf(p)
		if err != nil {
			return Usage{}, explain(path, err)
		}
		defer func() { _ = parent.Close() }() // only read
		info, err := parent.Lstat(name)
		if err != nil {
			return Usage{}, explain(path, err)
		}
		w := &counting{ctx: ctx, s: s, left: s.limits.usage, depth: s.limits.depth}
		w.count(parent, p, name, info, 0)
		return w.sum, nil
	}, nil)
}

type counting struct {
	ctx   context.Context
	s     *Storage
	sum   Usage
	left  int // names that may still be read
	depth int
}

func (w *counting) count(parent *os.Root, p, name string, info fs.FileInfo, level int) {
	if !info.IsDir() {
		w.sum.Files++
		if info.Mode().IsRegular() {
			w.sum.Bytes += info.Size()
		}
		return
	}
	w.sum.Folders++
	if level >= w.depth {
		w.sum.Partial = true
		return
	}
	dir, err := openSame(parent, name, info)
	if err != nil {
		w.sum.Partial = w.sum.Partial || !errors.Is(err, fs.ErrNotExist)
		return
	}
	defer func() { _ = dir.Close() }() // only read
	names, more, err := rootNames(w.ctx, dir, w.left)
	w.left -= len(names) // all that is in memory, over all levels
	w.sum.Partial = w.sum.Partial || more || err != nil
	for _, n := range names {
		if w.s.hides(join(p, n)) {
			continue
		}
		if w.ctx.Err() != nil {
			w.sum.Partial = true
			return
		}
		child, err := dir.Lstat(n)
		switch {
		case errors.Is(err, fs.ErrNotExist): // just vanished
		case err != nil:
			w.sum.Partial = true
		default:
			w.count(dir, join(p, n), n, child, level+1)
		}
	}
}
