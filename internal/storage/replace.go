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

func (s *Storage) replace(dir, base string, content []byte) error {
	_, err := s.root.Lstat(dir)
	fresh := errors.Is(err, fs.ErrNotExist)
	at, err := s.enter(dir, fresh)
	if err != nil {
		return err
	}
	defer func() { _ = at.Close() }() // only read
	if fresh {
		s.dress(at, Folder{Path: root, Jobs: true}, true) // where that fails, jobs of other users cannot write there
	}
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
