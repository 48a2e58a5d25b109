package task

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// Dir is an allocation's directory, laid out as on a Nomad client: alloc/{data,logs,tmp} shared, and
// <task>/{local,secrets,tmp} for each task.
type Dir string

func (d Dir) shared() string { return filepath.Join(string(d), "alloc") }

// Logs holds the tasks' output.
func (d Dir) Logs() string { return filepath.Join(string(d), "alloc", "logs") }

// Task is the directory of one task.
func (d Dir) Task(name string) string { return filepath.Join(string(d), name) }

// Local is what a task sees as NOMAD_TASK_DIR.
func (d Dir) Local(name string) string { return filepath.Join(string(d), name, "local") }

// Secrets is what a task sees as NOMAD_SECRETS_DIR.
func (d Dir) Secrets(name string) string { return filepath.Join(string(d), name, "secrets") }

// build makes the directories.
func (d Dir) build(tasks []string) error {
	modes := map[string]os.FileMode{filepath.Join(d.shared(), "data"): 0o755, d.Logs(): 0o755, filepath.Join(d.shared(), "tmp"): 0o755}
	for _, t := range tasks {
		modes[d.Local(t)], modes[filepath.Join(d.Task(t), "tmp")], modes[d.Secrets(t)] = 0o755, 0o755, 0o700
	}
	for dir, mode := range modes {
		if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
			return fmt.Errorf("build allocation directory: %w", err)
		}
		if err := os.MkdirAll(dir, mode); err != nil {
			return fmt.Errorf("build allocation directory: %w", err)
		}
	}
	return nil
}

// within joins a path of a job to dir and refuses one that leaves it.
func within(dir, path string) (string, error) {
	if !filepath.IsLocal(filepath.Join(".", path)) {
		return "", fmt.Errorf("path %q escapes the allocation directory", path)
	}
	return filepath.Join(dir, path), nil
}

// writeFile writes a file so that nobody ever reads half of it.
func writeFile(path string, data []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp := filepath.Join(filepath.Dir(path), ".tmp-"+state.NewID())
	defer func() { _ = os.Remove(tmp) }() // gone after the rename
	if err := os.WriteFile(tmp, data, mode); err != nil {
		return err
	}
	if err := os.Chmod(tmp, mode); err != nil { // whatever the umask says
		return err
	}
	return os.Rename(tmp, path)
}

// prepareDir makes the directories, with the data of the allocation that this one replaces on its node when the group's
// disk is sticky.
func (r *allocRunner) prepareDir() error {
	tasks := make([]string, 0, len(r.tasks))
	for _, t := range r.tasks {
		tasks = append(tasks, t.task.Name)
	}
	if err := r.dir.build(tasks); err != nil {
		return err
	}
	prev := r.rs.Store.Alloc(r.alloc.PreviousAllocation)
	if prev == nil || prev.NodeID != r.alloc.NodeID || !state.Deref(r.group.EphemeralDisk.Sticky) {
		return nil
	}
	from := r.rs.Dir(prev.ID)
	moves := map[string]string{filepath.Join(from.shared(), "data"): filepath.Join(r.dir.shared(), "data")}
	for _, t := range tasks {
		moves[from.Local(t)] = r.dir.Local(t)
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

// Dir is an allocation's directory.
func (rs *Runners) Dir(id string) Dir { return Dir(filepath.Join(rs.Root, id)) }
