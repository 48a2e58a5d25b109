package access

import (
	"path"
	"regexp"
	"strings"
	"time"
)

// DefaultProject exists from the start, and owns what is older than projects.
const DefaultProject = "default"

// Project owns runs, sweeps and templates.
type Project struct {
	Name        string    `json:"name"` // for ever; see [CheckProjectName]
	Description string    `json:"description,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	Settings    Settings  `json:"settings"`
}

// Settings are what an administrator of the console sets for the runs of a project. They count for runs that are submitted
// afterwards.
type Settings struct {
	Namespace string `json:"namespace,omitempty" doc:"Namespace of Nomad for its jobs; the console's without"`
	NodePool  string `json:"node_pool,omitempty" doc:"Node pool of its workers; the console's without"`
	Folder    string `json:"folder,omitempty" doc:"Its folder in shared storage, which other projects do not see; without, it shares what is nobody's"`
	Limits    Limits `json:"limits"`
	// Logs counts for the logs of all its runs that have ended, a day after it was set.
	Logs LogLimits `json:"logs,omitzero"`
}

// LogLimits are how much is kept of the logs of ended runs; 0 is no limit but that of the console.
type LogLimits struct {
	Retention int64 `json:"retention_seconds,omitempty" doc:"How long the log of a run is kept after its end, a day or more"`
	MaxBytes  int64 `json:"max_bytes,omitempty" doc:"The most that its logs may take as they are stored, 1,000,000 or more; the logs of the runs that ended first are deleted"`
}

// Limits are the most that one run may ask for; 0 is no limit.
type Limits struct {
	Workers     int   `json:"workers,omitempty" doc:"Workers of a run"`
	GPUs        int   `json:"gpus,omitempty" doc:"GPUs of a run, over all its workers"`
	Priority    int   `json:"priority,omitempty" doc:"Highest priority"`
	MaxDuration int64 `json:"max_duration_seconds,omitempty" doc:"Longest max_duration_seconds, and that of runs that set none"`
}

var (
	projectName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	// namespaceName and poolName are Nomad's rules (structs.validNamespaceName, structs.validNodePoolName).
	namespaceName = regexp.MustCompile(`^[a-zA-Z0-9-]{1,128}$`)
	poolName      = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)
	folderName    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,63}){0,3}$`)
)

// CheckProjectName reports whether a project's name has the right form.
func CheckProjectName(name string) bool { return projectName.MatchString(name) }

// CheckNamespace reports whether Nomad can have a namespace of that name.
func CheckNamespace(name string) bool { return namespaceName.MatchString(name) }

// CheckNodePool reports whether Nomad can have a node pool of that name.
func CheckNodePool(name string) bool { return poolName.MatchString(name) }

// CheckFolder reports whether a project's folder has the right form: up to four names below shared storage.
func CheckFolder(folder string) bool {
	return folderName.MatchString(folder) && path.Clean(folder) == folder
}

// Overlap reports whether one folder is the other, or is in it. "" overlaps none.
func Overlap(a, b string) bool {
	return a != "" && b != "" && (a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/"))
}
