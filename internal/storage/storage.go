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
	// Mount is the folder as workers see it, the base of a configuration's relative paths; "" for the console's.
	Mount string
	// Owner and Group own the layout's folders, by name or number; "" changes nothing.
	Owner, Group string
	// Mode is the mode of folders that jobs write; 0 for [DefaultMode].
	Mode   fs.FileMode
	Logger *slog.Logger // required
	// Folders are those of projects, none of which is in another; nil for none.
	Folders func() []string
}

// Storage is the shared storage, or a part of it (see [Storage.In]), safe for concurrent use. Methods return when their context
// ends, even if the file system hangs.
type Storage struct {
	*shared
	root   *os.Root // nil for a project's part but while a call is at work: see [Storage.reach]
	path   string
	mount  string
	folder string   // of a project; "" for the root
	nobody bool     // the part that is no project's
	kept   []string // folders of projects that it has, while a call is at work
	hidden []string // or that it seems not to have
}

// shared is what all parts have in common.
type shared struct {
	whole   *Storage
	owner   ownership
	mode    fs.FileMode
	log     *slog.Logger
	folders func() []string
	fresh   bool          // Open created the layout
	slots   chan struct{} // one per call at work
	limits  limits
	parsing chan struct{} // one per parsed .metadata
	marks   shardCache
}

// limits bound one answer; tests lower them.
type limits struct {
	names   int // per folder, sorted by name or shown at all
	stats   int // per folder, sorted by size or time
	usage   int // entries counted
	depth   int // levels, each with an open folder
	suggest int // per folder, for completion or correction
}

func defaultLimits() limits {
	return limits{names: 50_000, stats: 10_000, usage: 200_000, depth: 256, suggest: 5_000}
}

// maxCalls bounds the calls at work, which is all that a hanging file system can hold.
const maxCalls = 32

// Open opens the folder, creating it and its layout if missing, and logs what it did and could not do. It fails only
// without a usable folder, or if owner or group do not exist.
func Open(ctx context.Context, dir string, o Options) (*Storage, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find shared storage %s: %w", dir, err)
	}
	s := &Storage{path: abs, mount: o.Mount, shared: &shared{
		mode: o.Mode, log: o.Logger, folders: o.Folders,
		slots: make(chan struct{}, maxCalls), limits: defaultLimits(), parsing: make(chan struct{}, 1),
	}}
	s.whole = s
	if s.folders == nil {
		s.folders = func() []string { return nil }
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

// Close waits for calls at work, or ctx, and closes the folder. Later calls return [fault.ErrUnavailable].
func (s *Storage) Close(ctx context.Context) error {
	for range cap(s.slots) {
		select {
		case s.slots <- struct{}{}: // kept
		case <-ctx.Done():
			return errors.Join(errors.New("shared storage does not answer"), s.root.Close())
		}
	}
	return s.root.Close()
}

// Fresh reports whether Open created the layout.
func (s *Storage) Fresh() bool { return s.fresh }

// Path is the folder as the console sees it.
func (s *Storage) Path() string { return s.path }

// Mount is the folder as workers see it.
func (s *Storage) Mount() string { return s.mount }

// grace is how long a cancelled call may take to report how far it got.
const grace = time.Second

// await runs fn on what it may reach and returns its result, or ctx's error if fn hangs. Then fn keeps its slot until it returns, and drop,
// if not nil, takes its result.
func await[T any](ctx context.Context, s *Storage, fn func(context.Context, *Storage) (T, error), drop func(T)) (T, error) {
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
		return none, fmt.Errorf("closed, or has not answered %d calls: %w", cap(s.slots), fault.ErrStorageUnavailable)
	}
	type result struct {
		value T
		err   error
	}
	done, left := make(chan result), make(chan struct{})
	go func() { // Close waits for its slot
		defer func() { <-s.slots }()
		value, err := within(ctx, s, fn)
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
		return none, fault.ErrStorageUnavailable.Fault().Because(ctx.Err())
	}
}
