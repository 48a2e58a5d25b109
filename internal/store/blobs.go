package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/logarchive"
)

// Blobs holds write-once data that is read whole: the sealed blocks of logs. Names are slash-separated paths. While the place does not
// answer, errors are [fault.ErrUnavailable].
type Blobs interface {
	Put(ctx context.Context, name string, data []byte) error        // replaces
	Get(ctx context.Context, name string) ([]byte, error)           // fault.ErrNotFound
	Stat(ctx context.Context, name string) (bytes int64, err error) // fault.ErrNotFound
	Delete(ctx context.Context, name string) error                  // no error if it is not there
	DeleteAll(ctx context.Context, folder string) error             // everything below; no error if empty
	// Each calls fn for every blob below a folder, "" for all, those of one folder in a row.
	Each(ctx context.Context, folder string, fn func(name string, bytes int64, at time.Time) error) error
	Check(ctx context.Context) error // whether a block can be written, and read again
	String() string                  // names the place, for people
	Close() error
}

// FileBlobs keeps blobs as files below one folder, which may be replaced by another one meanwhile, such as one of a backup.
type FileBlobs struct {
	dir  string
	root atomic.Pointer[os.Root]
}

// NewFileBlobs opens or creates the folder.
func NewFileBlobs(dir string) (*FileBlobs, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("log archive: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("log archive: %w", err)
	}
	b := &FileBlobs{dir: dir}
	b.root.Store(root)
	return b, nil
}

// Close closes the folder.
func (b *FileBlobs) Close() error { return b.root.Load().Close() }

// String is the folder.
func (b *FileBlobs) String() string { return b.dir }

// folder is the folder that is there now, or an error and the one that was.
func (b *FileBlobs) folder() (*os.Root, error) {
	root := b.root.Load()
	had, err := root.Stat(".")
	if err != nil {
		return root, err
	}
	is, err := os.Stat(b.dir)
	if err != nil || os.SameFile(had, is) {
		return root, err
	}
	fresh, err := os.OpenRoot(b.dir)
	if err != nil {
		return root, err
	}
	if !b.root.CompareAndSwap(root, fresh) {
		return b.root.Load(), fresh.Close()
	}
	return fresh, nil // the other one is closed once nobody uses it
}

// now is the folder for those who only look or delete: in one that is gone they find what is left, or nothing.
func (b *FileBlobs) now() *os.Root {
	root, _ := b.folder()
	return root
}

// failed says what could not be done. That there is no room is said as of an archive that is away: what was to be written waits, and is
// written later.
func (b *FileBlobs) failed(doing string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		err = fault.New(fault.ErrArchiveUnavailable, fmt.Sprintf("There is no room on the disk that holds the archive of logs, %s.", b), "Free space there, or set a limit (logs.max_size, logs.retention); the console continues by itself once there is room.").Because(err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// Check writes as much as a block, and deletes it. No run has such a folder.
func (b *FileBlobs) Check(ctx context.Context) error {
	const name = ".cotrain/check"
	return errors.Join(b.Put(ctx, name, make([]byte, SealBytes)), b.Delete(ctx, name))
}

// Put writes a temporary file and renames it, so readers never see half a blob.
func (b *FileBlobs) Put(_ context.Context, name string, data []byte) error {
	root, err := b.folder()
	if err != nil { // what is written to a folder that is no more there would be lost
		err = fault.New(fault.ErrArchiveUnavailable, fmt.Sprintf("The folder of the archive of logs, %s, cannot be reached any more.", b), "Restore it from a backup of the archive, or create it; the console continues by itself.").Because(err)
		return fmt.Errorf("archive %s: %w", name, err)
	}
	if err := root.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return b.failed("archive "+name, err)
	}
	tmp := name + ".tmp"
	if err := root.WriteFile(tmp, data, 0o640); err != nil {
		return b.failed("archive "+name, errors.Join(err, root.Remove(tmp)))
	}
	if err := root.Rename(tmp, name); err != nil {
		return fmt.Errorf("archive %s: %w", name, err)
	}
	return nil
}

// Get reads a blob. What is there and no file is [logarchive.ErrDamaged].
func (b *FileBlobs) Get(_ context.Context, name string) ([]byte, error) {
	data, err := b.now().ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("archive %s: %w", name, fault.ErrNotFound)
	case errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("archive %s: %w: %w", name, logarchive.ErrDamaged, err)
	}
	if err != nil {
		return nil, fmt.Errorf("archive %s: %w", name, err)
	}
	return data, nil
}

// Stat returns the size of a blob.
func (b *FileBlobs) Stat(_ context.Context, name string) (int64, error) {
	info, err := b.now().Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("archive %s: %w", name, fault.ErrNotFound)
	}
	if err != nil {
		return 0, fmt.Errorf("archive %s: %w", name, err)
	}
	return info.Size(), nil
}

// Delete removes a blob, and its folder with the last one.
func (b *FileBlobs) Delete(_ context.Context, name string) error {
	root := b.now()
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete archive %s: %w", name, err)
	}
	_ = root.Remove(filepath.Dir(name)) // unless something is in it
	return nil
}

// DeleteAll removes a folder of blobs.
func (b *FileBlobs) DeleteAll(_ context.Context, folder string) error {
	if err := b.now().RemoveAll(folder); err != nil {
		return fmt.Errorf("delete archive %s: %w", folder, err)
	}
	return nil
}

// Each walks the folder. What is deleted meanwhile is left out.
func (b *FileBlobs) Each(ctx context.Context, folder string, fn func(name string, bytes int64, at time.Time) error) error {
	err := fs.WalkDir(b.now().FS(), filepath.Clean(folder), func(name string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err = errors.Join(err, ctx.Err()); err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return nil //nolint:nilerr // deleted meanwhile
		}
		return fn(name, info.Size(), info.ModTime())
	})
	if err != nil {
		return fmt.Errorf("list archive: %w", err)
	}
	return nil
}
