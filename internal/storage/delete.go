package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
)

// Removed is what a deletion removed, also on an error.
type Removed struct {
	Files   int64 // all but folders; of a link only the link
	Folders int64
	Bytes   int64 // of regular files
}

// Delete removes a file, a link, or a folder with its content. It never follows links, and refuses the root and the
// folders of the layout; see [Refusal]. When ctx ends it stops and returns what it removed so far; calling it again
// continues.
func (s *Storage) Delete(ctx context.Context, name string) (Removed, error) {
	p, err := clean(name)
	if err == nil {
		err = s.CheckDeletable(p)
	}
	if err != nil {
		return Removed{}, err
	}
	return await(ctx, s, func(ctx context.Context, s *Storage) (Removed, error) {
		parent, base, err := s.parentOf(p)
		if err != nil {
			return Removed{}, explain(name, err)
		}
		defer func() { _ = parent.Close() }() // only read
		d := &deletion{ctx: ctx, depth: s.limits.depth}
		info, err := parent.Lstat(base)
		if err == nil {
			err = d.remove(parent, base, info, 0)
		}
		return d.sum, explain(name, err)
	}, nil)
}

// CheckDeletable returns the [Refusal] of the root, the folders of the layout, and the folders of projects with what they are in.
func (s *Storage) CheckDeletable(name string) error {
	p, err := clean(name)
	if err != nil {
		return nil //nolint:nilerr // who deletes it is told
	}
	const fix = "Delete what is in it, one by one."
	inner := p
	if s.folder == "" {
		for _, f := range s.folders() {
			switch {
			case s.nobody && below(p, f):
				return explain(name, notThere(p))
			case below(f, p) && p != root:
				return &Refusal{Path: named(p), Reason: "It is, or holds, the folder of a project.", Fix: fix}
			case below(p, f):
				inner = strings.TrimPrefix(p, f+"/")
			}
		}
	}
	if isLayout(inner) {
		return &Refusal{Path: named(p), Reason: "It is part of the layout of shared storage, which every node relies on.", Fix: fix}
	}
	return nil
}

type deletion struct {
	ctx   context.Context
	sum   Removed
	depth int
}

// remove removes an entry after its content.
func (d *deletion) remove(parent *os.Root, name string, info fs.FileInfo, level int) error {
	if err := d.ctx.Err(); err != nil {
		return err
	}
	if !info.IsDir() {
		if err := parent.Remove(name); err != nil {
			return ignoreGone(err)
		}
		d.sum.Files++
		if info.Mode().IsRegular() {
			d.sum.Bytes += info.Size()
		}
		return nil
	}
	if level >= d.depth {
		return &Refusal{Path: fault.Quote(Display(name)), Reason: fmt.Sprintf("It is more than %d folders deep.", d.depth), Fix: "Delete it on a node, with rm -r."}
	}
	if err := d.empty(parent, name, info, level); err != nil {
		return ignoreGone(err)
	}
	if err := parent.Remove(name); err != nil {
		return ignoreGone(err)
	}
	d.sum.Folders++
	return nil
}

// empty removes a folder's content. It rereads after each batch, since removing disturbs reading, until nothing is left.
func (d *deletion) empty(parent *os.Root, name string, info fs.FileInfo, level int) error {
	dir, err := openSame(parent, name, info)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }() // only read
	for {
		names, _, err := rootNames(d.ctx, dir, readBatch)
		if err != nil || len(names) == 0 {
			return err
		}
		for _, n := range names {
			child, err := dir.Lstat(n)
			if err == nil {
				err = d.remove(dir, n, child, level+1)
			}
			if err = ignoreGone(err); err != nil {
				return err
			}
		}
	}
}

// parentOf opens a path's folder.
func (s *Storage) parentOf(p string) (parent *os.Root, base string, err error) {
	parent, err = s.enter(path.Dir(p), false)
	return parent, path.Base(p), err
}

// openSame opens a folder only if it is still the one looked at, and not, say, a link put in its place.
func openSame(parent *os.Root, name string, info fs.FileInfo) (*os.Root, error) {
	dir, err := parent.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	now, err := dir.Lstat(root)
	if err == nil && !os.SameFile(info, now) {
		err = &Refusal{Path: fault.Quote(Display(name)), Reason: "Something else took its place while it was being read.", Fix: "Look at the folder again."}
	}
	if err != nil {
		_ = dir.Close() // only read
		return nil, err
	}
	return dir, nil
}

// rootNames returns up to limit names of an open folder.
func rootNames(ctx context.Context, r *os.Root, limit int) (names []string, more bool, err error) {
	dir, err := openDir(r, root)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = dir.Close() }() // only read
	return readNames(ctx, dir, 0, limit)
}

// ignoreGone drops not-found errors: somebody else was faster.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
