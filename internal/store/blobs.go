package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cotrain/cotrain/internal/fault"
)

// Blobs holds write-once data that is read whole: the sealed blocks of logs. Names are slash-separated paths.
type Blobs interface {
	Put(ctx context.Context, name string, data []byte) error // replaces
	Get(ctx context.Context, name string) ([]byte, error)    // fault.ErrNotFound
	DeleteAll(ctx context.Context, folder string) error      // everything below; no error if empty
}

// FileBlobs keeps blobs as files below one folder.
type FileBlobs struct{ root *os.Root }

// NewFileBlobs opens or creates the folder.
func NewFileBlobs(dir string) (*FileBlobs, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("log archive: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("log archive: %w", err)
	}
	return &FileBlobs{root}, nil
}

func (b *FileBlobs) close() error { return b.root.Close() }

func (b *FileBlobs) has(name string) (bool, error) {
	_, err := b.root.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("archive %s: %w", name, err)
	}
	return true, nil
}

// Put writes a temporary file and renames it, so readers never see half a blob.
func (b *FileBlobs) Put(_ context.Context, name string, data []byte) error {
	if err := b.root.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return fmt.Errorf("archive %s: %w", name, err)
	}
	tmp := name + ".tmp"
	if err := b.root.WriteFile(tmp, data, 0o640); err != nil {
		return fmt.Errorf("archive %s: %w", name, errors.Join(err, b.root.Remove(tmp)))
	}
	if err := b.root.Rename(tmp, name); err != nil {
		return fmt.Errorf("archive %s: %w", name, err)
	}
	return nil
}

// Get reads a blob.
func (b *FileBlobs) Get(_ context.Context, name string) ([]byte, error) {
	data, err := b.root.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("archive %s: %w", name, fault.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("archive %s: %w", name, err)
	}
	return data, nil
}

// DeleteAll removes a folder of blobs.
func (b *FileBlobs) DeleteAll(_ context.Context, folder string) error {
	if err := b.root.RemoveAll(folder); err != nil {
		return fmt.Errorf("delete archive %s: %w", folder, err)
	}
	return nil
}
