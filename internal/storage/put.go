package storage

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// Put writes a new group-writable file; an existing one is a [Refusal].
func (s *Storage) Put(ctx context.Context, name string, content []byte) error {
	p, err := clean(name)
	if err != nil {
		return err
	}
	_, err = await(ctx, s, func(_ context.Context, s *Storage) (struct{}, error) {
		f, err := s.root.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o664)
		if errors.Is(err, fs.ErrExist) {
			return struct{}{}, &Refusal{Path: named(p), Reason: "It exists already.", Fix: "Choose another name."}
		}
		if err != nil {
			return struct{}{}, explain(name, err)
		}
		_, err = f.Write(content)
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, s.root.Remove(p)) // half a file is worse than none
		}
		return struct{}{}, explain(name, err)
	}, nil)
	return err
}
