package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
)

// Options configures [Open].
type Options struct {
	// Mount is the absolute path of the same folder as workers see it, where relative paths of a configuration begin; "" for
	// that of the console.
	Mount string
	// Owner and Group are who the folders of the layout belong to, by name or number; "" leaves it as it is.
	Owner, Group string
	// Mode is that of the folders that jobs write; 0 for [DefaultMode].
	Mode   fs.FileMode
	Logger *slog.Logger // required
}

// Storage is the shared storage below one folder. Its methods are safe for concurrent use, and return when their
// context ends, even when the file system does not answer.
type Storage struct {
	root    *os.Root
	path    string
	mount   string
	owner   ownership
	mode    fs.FileMode
	log     *slog.Logger
	fresh   bool          // Open made the whole layout
	slots   chan struct{} // one for each call at work
	limits  limits
	parsing chan struct{} // one for whoever reads the .metadata of a checkpoint
	marks   shardCache
}

// limits bound what is read for one answer; tests make them smaller.
type limits struct {
	names   int // of one folder that are sorted by name, or shown at all
	stats   int // of one folder that are looked at to sort by size or time
	usage   int // entries that are counted
	depth   int // levels of a tree, since each holds a folder open
	suggest int // names of one folder that are read to complete or correct a path
}

func defaultLimits() limits {
	return limits{names: 50_000, stats: 10_000, usage: 200_000, depth: 256, suggest: 5_000}
}

// maxCalls is how many calls may be at work at once. A file system that hangs holds each call until it answers: this is
// all that it can hold.
const maxCalls = 32

// Open opens the folder, makes it and its layout where they are missing, and logs what it did and what it could not do.
// It fails only when there is no folder that can be opened, or when owner or group do not exist.
func Open(ctx context.Context, dir string, o Options) (*Storage, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find shared storage %s: %w", dir, err)
	}
	s := &Storage{
		path: abs, mount: o.Mount, mode: o.Mode, log: o.Logger,
		slots: make(chan struct{}, maxCalls), limits: defaultLimits(), parsing: make(chan struct{}, 1),
	}
	if s.mount == "" {
		s.mount = abs
	}
	if s.mode == 0 {
		s.mode = DefaultMode
	}
	if s.owner, err = lookUp(o.Owner, o.Group); err != nil {
		return nil, fmt.Errorf("%w: %w", err, fault.ErrInvalid)
	}
	if err := os.MkdirAll(abs, ownMode); err != nil { // #nosec G301 -- workers of other users read it
		return nil, fmt.Errorf("make shared storage: %w", err)
	}
	if s.root, err = os.OpenRoot(abs); err != nil {
		return nil, fmt.Errorf("open shared storage: %w", err)
	}
	done, folders, err := s.Repair(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the layout of shared storage: %w", err), s.root.Close())
	}
	s.fresh = slices.Contains(done, madeAll)
	for _, text := range done {
		s.log.Info("shared storage", "path", abs, "did", text)
	}
	for _, f := range folders {
		if f.Problem != "" {
			s.log.Warn("shared storage", "path", abs, "folder", f.Path, "problem", f.Problem)
		}
	}
	return s, nil
}

// Close waits until no call is at work, or ctx ends, and closes the folder. Later calls return [fault.ErrUnavailable].
func (s *Storage) Close(ctx context.Context) error {
	for range cap(s.slots) {
		select {
		case s.slots <- struct{}{}: // never given back
		case <-ctx.Done():
			return errors.Join(errors.New("shared storage does not answer"), s.root.Close())
		}
	}
	return s.root.Close()
}

// Fresh reports whether there was no layout before: nobody has kept or deleted anything yet.
func (s *Storage) Fresh() bool { return s.fresh }

// Path is the folder as the console sees it.
func (s *Storage) Path() string { return s.path }

// Mount is the folder as workers see it.
func (s *Storage) Mount() string { return s.mount }

// grace is how long a call whose context has ended may take to say how far it got, before it is left behind.
const grace = time.Second

// await runs fn and returns its result, or the error of ctx when fn does not come back: a file system that hangs cannot
// be told to stop. Then fn keeps its slot until it returns, and drop (nil for none) takes what it returns.
func await[T any](ctx context.Context, s *Storage, fn func(context.Context) (T, error), drop func(T)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	wait := time.NewTimer(grace)
	defer wait.Stop()
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return none, ctx.Err()
	case <-wait.C:
		return none, fmt.Errorf("closed, or has not answered %d calls: %w", cap(s.slots), fault.ErrStorageAway)
	}
	type result struct {
		value T
		err   error
	}
	done, left := make(chan result), make(chan struct{})
	go func() { // Close waits for it by its slot
		defer func() { <-s.slots }()
		value, err := fn(ctx)
		select {
		case done <- result{value, err}:
		case <-left:
			if err == nil && drop != nil {
				drop(value)
			}
		}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
	}
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case r := <-done:
		return r.value, r.err
	case <-late.C:
		close(left)
		return none, fault.ErrStorageAway.Fault().Because(ctx.Err())
	}
}
