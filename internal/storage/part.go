package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/cotrain/cotrain/internal/fault"
)

// In returns the part of shared storage of a project with that folder: the folder with a layout of its own, which need not
// exist yet, or for "" what is no project's.
func (s *Storage) In(folder string) *Storage {
	w := s.whole
	if folder == "" {
		return &Storage{shared: s.shared, root: w.root, path: w.path, mount: w.mount, nobody: true}
	}
	return &Storage{shared: s.shared, path: path.Join(w.path, folder), mount: path.Join(w.mount, folder), folder: folder}
}

// noFolder is a project's folder that does not exist.
type noFolder string

// makeIt says how to make a project's folder.
const makeIt = "make it with cotrain storage layout --repair --project NAME, as an admin of the project"

// Error says which folder.
func (f noFolder) Error() string { return f.Fault().What }

// Fault implements the interface of [fault.Of].
func (f noFolder) Fault() *fault.Error {
	return fault.New(fault.ErrNoFile, fmt.Sprintf("The folder of the project, %s, does not exist in shared storage.", fault.Quote(string(f))), strings.ToUpper(makeIt[:1])+makeIt[1:]+".")
}

// Is matches [fault.ErrNotFound].
func (f noFolder) Is(target error) bool { return target == fault.ErrNotFound }

// within runs fn on what a call may reach. A project's folder is opened for each, since it can be deleted and made again.
func within[T any](ctx context.Context, s *Storage, fn func(context.Context, *Storage) (T, error)) (T, error) {
	at := *s
	switch {
	case s.nobody:
		at.hidden = s.folders()
	case s.folder == "":
		at.kept = s.folders()
	}
	if s.folder != "" {
		var err error
		if at.root, err = s.whole.enter(s.folder, false); err != nil {
			var none T
			if errors.Is(err, fs.ErrNotExist) {
				return none, noFolder(s.folder)
			}
			return none, explain(s.folder, err)
		}
		defer func() { _ = at.root.Close() }() // only read
	}
	return fn(ctx, &at)
}

// enter opens a folder name by name, never through a link, and makes it if asked to.
func (s *Storage) enter(p string, create bool) (*os.Root, error) {
	at, err := s.root.OpenRoot(root)
	if err != nil || p == "" || p == root {
		return at, err
	}
	for name := range strings.SplitSeq(p, "/") {
		if create {
			err = at.Mkdir(name, ownMode)
		}
		var next *os.Root
		if err == nil || errors.Is(err, fs.ErrExist) {
			next, err = step(at, p, name)
		}
		_ = at.Close() // only read
		if err != nil {
			return nil, err
		}
		at = next
	}
	return at, nil
}

// step opens a folder of a path that is no link.
func step(at *os.Root, p, name string) (*os.Root, error) {
	info, err := at.Lstat(name)
	switch {
	case err != nil:
		return nil, err
	case info.Mode()&fs.ModeSymlink != 0:
		return nil, &Refusal{Path: named(p), Reason: "The path goes through a link, " + Display(name) + ".", Fix: "Name the place itself, without the link."}
	case !info.IsDir():
		return nil, syscall.ENOTDIR
	}
	return openSame(at, name, info)
}

// hides reports whether a path is a folder that is not there, or in one.
func (s *Storage) hides(p string) bool {
	return slices.ContainsFunc(s.hidden, func(f string) bool { return below(p, f) })
}

// below reports whether a path is a folder or in it.
func below(p, folder string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }

// notThere is what a hidden folder gives.
func notThere(p string) error { return &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist} }

// reach returns where a path is: in which folder, under which name. If some folders are hidden, nothing on the way is a link any
// more, so that none leads there; the name itself is one only if links are not to be followed.
func (s *Storage) reach(p string, follow bool) (at *os.Root, name string, done func(), err error) {
	if len(s.hidden) == 0 {
		return s.root, p, func() {}, nil
	}
	if p, err = s.resolve(p, follow); err != nil {
		return nil, "", nil, err
	}
	if at, err = s.enter(path.Dir(p), false); err != nil {
		return nil, "", nil, err
	}
	return at, path.Base(p), func() { _ = at.Close() }, nil // only read
}

// maxLinks is how many links Linux follows in a path.
const maxLinks = 40

// resolve follows the links of a path, the last one if asked to, and returns one without.
func (s *Storage) resolve(p string, last bool) (string, error) {
	at, todo, links := root, strings.Split(p, "/"), 0
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			if at == root {
				return "", errEscapes(p)
			}
			at = path.Dir(at)
			continue
		}
		next := join(at, name)
		if s.hides(next) {
			return "", notThere(p)
		}
		if len(todo) == 0 && !last {
			return next, nil
		}
		info, err := s.root.Lstat(next)
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		target, err := s.root.Readlink(next)
		switch links++; {
		case err != nil:
			return "", err
		case links > maxLinks:
			return "", &fs.PathError{Op: "open", Path: p, Err: syscall.ELOOP}
		case path.IsAbs(target):
			return "", errEscapes(p)
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return at, nil
}

// errEscapes is what [os.Root] gives; see [escapes].
func errEscapes(p string) error {
	return &fs.PathError{Op: "open", Path: p, Err: errors.New(escapeText)}
}

// stat is of what a path leads to.
func (s *Storage) stat(p string) (fs.FileInfo, error) {
	at, name, done, err := s.reach(p, true)
	if err != nil {
		return nil, err
	}
	defer done()
	if len(s.hidden) > 0 {
		return at.Lstat(name) // no link any more, unless one was put in its place
	}
	return at.Stat(name)
}

// lstat is of a name itself.
func (s *Storage) lstat(p string) (fs.FileInfo, error) {
	at, name, done, err := s.reach(p, false)
	if err != nil {
		return nil, err
	}
	defer done()
	return at.Lstat(name)
}

// readlink is the text of a link.
func (s *Storage) readlink(p string) (string, error) {
	at, name, done, err := s.reach(p, false)
	if err != nil {
		return "", err
	}
	defer done()
	return at.Readlink(name)
}

// openFile opens what a path leads to.
func (s *Storage) openFile(p string, flag int) (*os.File, error) {
	at, name, done, err := s.reach(p, true)
	if err != nil {
		return nil, err
	}
	defer done()
	if len(s.hidden) > 0 {
		flag |= syscall.O_NOFOLLOW
	}
	return at.OpenFile(name, flag, 0)
}

// openFolder opens a folder and nothing else.
func (s *Storage) openFolder(p string) (*os.File, error) {
	return s.openFile(p, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK)
}

// visible drops the names of a folder that are hidden.
func (s *Storage) visible(p string, names []string) []string {
	if len(s.hidden) == 0 {
		return names
	}
	if p, err := s.resolve(p, true); err == nil {
		return slices.DeleteFunc(names, func(name string) bool { return s.hides(join(p, name)) })
	}
	return nil
}
