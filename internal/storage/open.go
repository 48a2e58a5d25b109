package storage

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"
)

// File is an open regular file. Close it.
type File struct {
	*os.File
	Info fs.FileInfo // when it was opened
	Base string      // name in bytes
}

// Open opens a regular file for reading, through links within the storage; others are a [Refusal]. It checks before
// opening, and opens so that a FIFO put in its place cannot block.
func (s *Storage) Open(ctx context.Context, name string) (*File, error) {
	p, err := clean(name)
	if err != nil {
		return nil, err
	}
	return await(ctx, s, func(_ context.Context, s *Storage) (*File, error) {
		f, err := s.open(p)
		return f, explain(name, err)
	}, func(f *File) { _ = f.Close() }) // nobody is waiting any more
}

func (s *Storage) open(p string) (*File, error) {
	info, err := s.stat(p)
	if err != nil {
		return nil, err
	}
	if err := regular(p, info); err != nil {
		return nil, err
	}
	f, err := s.openFile(p, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil {
		err = regular(p, info)
	}
	if err != nil {
		_ = f.Close() // not read
		return nil, err
	}
	return &File{File: f, Info: info, Base: path.Base(p)}, nil
}

func regular(p string, info fs.FileInfo) error {
	switch {
	case info.Mode().IsRegular():
		return nil
	case info.IsDir():
		return syscall.EISDIR
	}
	_, special := kindOf(info.Mode())
	return &Refusal{Path: named(p), Reason: "It is a " + special + ", not a file.", Fix: "Devices, sockets and FIFOs are never opened."}
}

// Read returns the content of a regular file that was last changed at a time or later, nil if that was earlier. One of more than most
// bytes is a [Refusal].
func (s *Storage) Read(ctx context.Context, name string, since time.Time, most int64) (content []byte, changed time.Time, err error) {
	p, err := clean(name)
	if err != nil {
		return nil, time.Time{}, err
	}
	type result struct {
		content []byte
		changed time.Time
	}
	r, err := await(ctx, s, func(_ context.Context, s *Storage) (out result, err error) {
		f, err := s.open(p)
		if err != nil {
			return out, explain(name, err)
		}
		defer func() { _ = f.Close() }() // only read
		if out.changed = f.Info.ModTime(); out.changed.Before(since) {
			return out, nil
		}
		out.content, err = io.ReadAll(io.LimitReader(f, most+1))
		if int64(len(out.content)) > most {
			err = &Refusal{Path: named(p), Reason: fmt.Sprintf("It has more than %d bytes.", most), Fix: "Shorten it."}
		}
		return out, explain(name, err)
	}, nil)
	return r.content, r.changed, err
}
