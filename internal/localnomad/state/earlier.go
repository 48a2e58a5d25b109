package state

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// earlierFiles lists the state that earlier versions of the agent left, in the order of its changes: snapshot-<n>, then
// state-<n>.log and later ones, with the same lines as state.log.
func earlierFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	snapshot, logs := -1, []int(nil)
	for _, e := range entries {
		var n int
		if _, err := fmt.Sscanf(e.Name(), "state-%d.log", &n); err == nil {
			logs = append(logs, n)
		} else if _, err := fmt.Sscanf(e.Name(), "snapshot-%d", &n); err == nil && !strings.HasSuffix(e.Name(), ".tmp") {
			snapshot = max(snapshot, n)
		}
	}
	var out []string
	if snapshot >= 0 {
		out = append(out, filepath.Join(dir, fmt.Sprintf("snapshot-%d", snapshot)))
	}
	slices.Sort(logs)
	for _, n := range logs {
		if n >= snapshot {
			out = append(out, filepath.Join(dir, fmt.Sprintf("state-%d.log", n)))
		}
	}
	return out, nil
}
