package storage

import (
	"context"
	"errors"
	"io/fs"
	"os"
)

// Usage is what a file or a folder holds.
type Usage struct {
	Files   int64 // everything that is not a folder: files, links, devices
	Folders int64 // below the folder, itself included
	Bytes   int64 // sizes of regular files, as they say; links are not followed
	// Partial says that there is more: a limit was reached, time was up, or something could not be read.
	Partial bool
}

// Usage counts what is below a path, itself included, without following links. It ends early when ctx does, when there
// are very many entries or levels, or where something cannot be read: then the result is Partial, and no error.
func (s *Storage) Usage(ctx context.Context, path string) (Usage, error) {
	p, err := clean(path)
	if err != nil {
		return Usage{}, err
	}
	return await(ctx, s, func(ctx context.Context) (Usage, error) {
		parent, name, err := s.parentOf(p)
		if err != nil {
			return Usage{}, explain(path, err)
		}
		defer func() { _ = parent.Close() }() // only read
		info, err := parent.Lstat(name)
		if err != nil {
			return Usage{}, explain(path, err)
		}
		w := &counting{ctx: ctx, left: s.limits.usage, depth: s.limits.depth}
		w.count(parent, name, info, 0)
		return w.sum, nil
	}, nil)
}

// counting is one walk of [Storage.Usage].
type counting struct {
	ctx   context.Context
	sum   Usage
	left  int // names that may still be read
	depth int
}

// count adds an entry and what is below it.
func (w *counting) count(parent *os.Root, name string, info fs.FileInfo, level int) {
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
	w.left -= len(names) // all that is held in memory at a time, over all levels
	w.sum.Partial = w.sum.Partial || more || err != nil
	for _, n := range names {
		if w.ctx.Err() != nil {
			w.sum.Partial = true
			return
		}
		child, err := dir.Lstat(n)
		switch {
		case errors.Is(err, fs.ErrNotExist): // it has just gone
		case err != nil:
			w.sum.Partial = true
		default:
			w.count(dir, n, child, level+1)
		}
	}
}
