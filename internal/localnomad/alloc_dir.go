package localnomad

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/nomad/api"
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

// awaitPrevious waits for the end of the allocation that this one replaces:
// the two are never at work at once.
func (r *allocRunner) awaitPrevious() {
	prev := r.s.runners.get(r.alloc.PreviousAllocation)
	if prev == nil {
		return
	}
	select {
	case <-prev.done:
	case <-r.stopping:
	}
}

// prepareDir makes the directories, with the data of the allocation that this
// one replaces on its node when the group's disk is sticky.
func (r *allocRunner) prepareDir() error {
	tasks := r.taskNames()
	if err := r.dir.build(tasks); err != nil {
		return err
	}
	var prev *api.Allocation
	r.s.st.view(func() { prev = r.s.st.allocs[r.alloc.PreviousAllocation] })
	if prev == nil || prev.NodeID != r.alloc.NodeID || !deref(r.group.EphemeralDisk.Sticky) {
		return nil
	}
	from := r.s.allocDir(prev.ID)
	moves := map[string]string{filepath.Join(from.shared(), "data"): filepath.Join(r.dir.shared(), "data")}
	for _, t := range tasks {
		moves[from.local(t)] = r.dir.local(t)
	}
	for old, now := range moves {
		if _, err := os.Stat(old); err != nil {
			continue // collected, or never built
		}
		if err := os.Remove(now); err != nil {
			return fmt.Errorf("take over the data of %s: %w", prev.ID, err)
		}
		if err := os.Rename(old, now); err != nil {
			return fmt.Errorf("take over the data of %s: %w", prev.ID, err)
		}
	}
	return nil
}
