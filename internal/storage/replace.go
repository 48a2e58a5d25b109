package storage

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"syscall"
)

// Replace writes a file as a whole: who reads it sees the old content or the new. It makes the folder that the file is in, which
// jobs may write in, too, and goes through no links.
func (s *Storage) Replace(ctx context.Context, name string, content []byte) error {
	p, err := clean(name)
	if err != nil {
		return err
	}
	_, err = await(ctx, s, func(_ context.Context, s *Storage) (struct{}, error) {
		return struct{}{}, explain(name, s.replace(path.Dir(p), path.Base(p), content))
	}, nil)
	return err
}

// Extend writes content at an offset of a file, which ends after it, and makes file and folder as [Storage.Replace] does. A file with
// another name elsewhere is refused: jobs could have it be anything.
func (s *Storage) Extend(ctx context.Context, name string, offset int64, content []byte) error {
	p, err := clean(name)
	if err != nil {
		return err
	}
	_, err = await(ctx, s, func(_ context.Context, s *Storage) (struct{}, error) {
		return struct{}{}, explain(name, s.extend(path.Dir(p), path.Base(p), offset, content))
	}, nil)
	return err
}

func (s *Storage) extend(dir, base string, offset int64, content []byte) error {
	at, err := s.folderFor(dir)
	if err != nil {
		return err
	}
	defer func() { _ = at.Close() }() // only read
	f, err := at.OpenFile(base, os.O_WRONLY|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o664)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		err = regular(base, info)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); err == nil && (!ok || st.Nlink != 1) {
		err = &Refusal{Path: named(base), Reason: "It has another name elsewhere.", Fix: "Remove it."}
	}
	if err == nil {
		err = f.Truncate(offset)
	}
	if err == nil {
		_, err = f.WriteAt(content, offset)
	}
	return errors.Join(err, f.Close())
}

// folderFor opens a folder, and makes one that jobs may write in where there is none.
func (s *Storage) folderFor(dir string) (*os.Root, error) {
	_, err := s.root.Lstat(dir)
	fresh := errors.Is(err, fs.ErrNotExist)
	at, err := s.enter(dir, fresh)
	if err == nil && fresh {
		s.dress(at, Folder{Path: root, Jobs: true}, true) // where that fails, jobs of other users cannot write there
	}
	return at, err
}

func (s *Storage) replace(dir, base string, content []byte) error {
	at, err := s.folderFor(dir)
	if err != nil {
		return err
	}
	defer func() { _ = at.Close() }() // only read
	temp := "." + base + ".new"
	if err := at.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) { // left by a crash, or put there
		return err
	}
	f, err := at.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o664)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = at.Rename(temp, base)
	}
	if err != nil {
		err = errors.Join(err, at.Remove(temp))
	}
	return err
}
