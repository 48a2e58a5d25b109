package storage

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
)

// readBatch is the names read between checks of the context.
const readBatch = 1024

// openDir opens a folder and nothing else, not even a FIFO or a device.
func openDir(r *os.Root, p string) (*os.File, error) {
	return r.OpenFile(p, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
}

// readNames returns up to limit names in folder order after skipping some, and whether there are more.
func readNames(ctx context.Context, dir *os.File, skip, limit int) (names []string, more bool, err error) {
	for {
		batch, err := dir.Readdirnames(readBatch)
		if gone := min(skip, len(batch)); gone > 0 {
			batch, skip = batch[gone:], skip-gone
		}
		if room := limit - len(names); len(batch) > room {
			return append(names, batch[:room]...), true, nil
		}
		names = append(names, batch...)
		switch {
		case errors.Is(err, io.EOF):
			return names, false, nil
		case err != nil:
			return names, false, err
		case ctx.Err() != nil:
			return names, true, ctx.Err()
		}
	}
}

// names returns up to limit names, none if unreadable.
func (s *Storage) names(p string, limit int) []string {
	dir, err := s.openFolder(p)
	if err != nil {
		return nil
	}
	defer func() { _ = dir.Close() }() // only read
	names, _, err := readNames(context.Background(), dir, 0, limit)
	if err != nil {
		return nil
	}
	return s.visible(p, names)
}

// empty reports whether a folder is known to be empty.
func (s *Storage) empty(p string) bool {
	dir, err := s.openFolder(p)
	if err != nil {
		return false
	}
	defer func() { _ = dir.Close() }() // only read
	_, err = dir.Readdirnames(1)
	return errors.Is(err, io.EOF)
}
