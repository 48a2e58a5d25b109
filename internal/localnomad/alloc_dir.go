package localnomad

import (
	"fmt"
	"os"
	"path/filepath"
)

// allocDir is an allocation's directory, laid out as on a Nomad client:
// alloc/{data,logs,tmp} shared, and <task>/{local,secrets,tmp} for each task.
type allocDir struct{ root string }

func (s *Server) allocDir(id string) allocDir {
	return allocDir{filepath.Join(s.opts.DataDir, "alloc", id)}
}

func (d allocDir) shared() string             { return filepath.Join(d.root, "alloc") }
func (d allocDir) logs() string               { return filepath.Join(d.root, "alloc", "logs") }
func (d allocDir) task(name string) string    { return filepath.Join(d.root, name) }
func (d allocDir) local(name string) string   { return filepath.Join(d.root, name, "local") }
func (d allocDir) secrets(name string) string { return filepath.Join(d.root, name, "secrets") }

// build makes the directories. Everybody may write to the shared ones, since
// tasks may run as different users.
func (d allocDir) build(tasks []string) error {
	dirs := []string{
		filepath.Join(d.shared(), "data"), d.logs(), filepath.Join(d.shared(), "tmp"),
	}
	for _, t := range tasks {
		dirs = append(dirs, d.local(t), filepath.Join(d.task(t), "tmp"))
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("build allocation directory: %w", err)
		}
	}
	for _, t := range tasks {
		if err := os.MkdirAll(d.secrets(t), 0o700); err != nil {
			return fmt.Errorf("build allocation directory: %w", err)
		}
	}
	return nil
}

// within joins a path of a job to dir and refuses one that leaves it.
func within(dir, path string) (string, error) {
	joined := filepath.Join(dir, path)
	rel, err := filepath.Rel(dir, joined)
	if err != nil || !filepath.IsLocal(rel) {
		return "", fmt.Errorf("path %q escapes the allocation directory", path)
	}
	return joined, nil
}

// writeFile writes a file so that nobody ever reads half of it.
func writeFile(path string, data []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone after the rename
	if _, err := tmp.Write(data); err != nil {
		_ = tmp.Close() // the first error says it
		return err
	}
	if err := tmp.Chmod(mode); err != nil {
		_ = tmp.Close() // the first error says it
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
