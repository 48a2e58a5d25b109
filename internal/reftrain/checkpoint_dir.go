package reftrain

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ownFolder is what the launch script calls the folder of one worker below the checkpoint path that a run names.
func ownFolder(rank int) string { return "worker_" + strconv.Itoa(rank) }

// workerDir is where a worker keeps its part of a step folder. A step folder below the worker's own folder is all its
// own.
func workerDir(step string, rank int) string {
	if rank == 0 || filepath.Base(filepath.Dir(step)) == ownFolder(rank) {
		return step
	}
	return filepath.Join(step, "diloco_"+strconv.Itoa(rank))
}

// resumeDir finds what a worker resumes from when worker 0 resumes from the folder resume: its own part of it; or,
// when it was stopped at another step of the same inner loop, its newest own part from that loop; or, when it has
// none, what worker 0 has. Inner steps touch no other worker, so each may go on from its own step.
func resumeDir(resume string, rank int) string {
	if rank == 0 {
		return resume
	}
	own := workerDir(resume, rank)
	if _, err := os.Stat(own); err == nil {
		return own
	}
	lead, err := readMetadata(resume)
	if err != nil { // another disk, perhaps: then the outer step is not known either
		return resume
	}
	best, at := resume, int64(-1)
	paths := []string{filepath.Dir(resume)}
	if filepath.Base(paths[0]) == ownFolder(0) { // its own is beside worker 0's
		paths = append(paths, filepath.Join(filepath.Dir(paths[0]), ownFolder(rank)))
	}
	for _, path := range paths {
		for step, dir := range stepFolders(path) {
			md, err := readMetadata(workerDir(dir, rank))
			if err == nil && md.Progress.Outer == lead.Progress.Outer && md.BaseHash == lead.BaseHash && step > at {
				best, at = workerDir(dir, rank), step
			}
		}
	}
	return best
}

// stepFolders returns the step_<N> folders in a folder, by N.
func stepFolders(path string) map[int64]string {
	out := map[int64]string{}
	entries, err := os.ReadDir(path)
	if err != nil {
		return out
	}
	for _, e := range entries {
		n, err := strconv.ParseInt(strings.TrimPrefix(e.Name(), "step_"), 10, 64)
		if err == nil && n >= 0 && e.IsDir() && e.Name() == "step_"+strconv.FormatInt(n, 10) {
			out[n] = filepath.Join(path, e.Name())
		}
	}
	return out
}

// deleteBeyond removes all but the newest keep step folders and returns what it removed.
func deleteBeyond(path string, keep int) ([]string, error) {
	folders := stepFolders(path)
	steps := make([]int64, 0, len(folders))
	for n := range folders {
		steps = append(steps, n)
	}
	slices.Sort(steps)
	var gone []string
	for len(steps) > keep {
		dir := folders[steps[0]]
		// What goes first is the mark of completeness, so that a half removed folder is never resumed from.
		if err := os.Remove(filepath.Join(dir, metadataName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return gone, fmt.Errorf("delete checkpoint: %w", err)
		}
		if err := os.RemoveAll(dir); err != nil {
			return gone, fmt.Errorf("delete checkpoint: %w", err)
		}
		gone, steps = append(gone, dir), steps[1:]
	}
	return gone, nil
}
