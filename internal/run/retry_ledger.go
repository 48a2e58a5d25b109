package run

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
)

// RetryLedger is what failed attempts have used of a run's retries since one of them made progress. The zero value is that of a new run.
type RetryLedger struct {
	// Best is the newest step, or step of a complete checkpoint, that any attempt reached.
	Best int64 `json:"best,omitempty"`
	// Failures counts those since then by fingerprint.
	Failures map[string]int `json:"failures,omitempty"`
	// Last is the newest attempt that failed of each of them.
	Last map[string]int `json:"last,omitempty"`
	// Unknown counts attempts in a row of which nothing tells how far they got.
	Unknown int `json:"unknown,omitempty"`
	// Entities are fingerprints with a file, which may fail only once, with or without progress.
	Entities []string `json:"entities,omitempty"`
	// Broken are checkpoints that a worker could not load.
	Broken []BrokenCheckpoint `json:"broken,omitempty"`
	// Strikes are failures of hardware, newest last.
	Strikes []Strike `json:"strikes,omitempty"`
}

// BrokenCheckpoint is a checkpoint that a worker could not load.
type BrokenCheckpoint struct {
	Folder string `json:"folder"`
	// Attempt is the newest that could not: a later one may save it anew.
	Attempt int `json:"attempt"`
}

// UnmarshalJSON also reads the bare folder of older versions, which is never trusted again.
func (b *BrokenCheckpoint) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, &b.Folder) == nil {
		b.Attempt = math.MaxInt32
		return nil
	}
	type plain BrokenCheckpoint
	return json.Unmarshal(data, (*plain)(b))
}

// broken reports whether a checkpoint that was saved by an attempt could not be loaded since.
func (l RetryLedger) broken(folder string, savedBy int) bool {
	return slices.ContainsFunc(l.Broken, func(b BrokenCheckpoint) bool { return b.Folder == folder && b.Attempt >= savedBy })
}

// damaged notes that an attempt could not load a checkpoint.
func (l *RetryLedger) damaged(folder string, attempt int) {
	l.Broken = slices.DeleteFunc(slices.Clone(l.Broken), func(b BrokenCheckpoint) bool { return b.Folder == folder })
	l.Broken = append(l.Broken, BrokenCheckpoint{folder, attempt})
	l.Broken = l.Broken[max(0, len(l.Broken)-maxBroken):]
}

// LearnOfLoss notes what a worker that ended teaches of the checkpoint that its attempt continued from, whether or not the others go on.
func (r *Run) LearnOfLoss(a Attempt, w Worker, rules RetryRules) {
	if w.Cause.Known() && a.Resume != "" && rules.Of(w.Cause.Category).OlderCheckpoint {
		r.Ledger.damaged(a.Resume, a.Number)
	}
}

// Strike is a failure that counts against a node.
type Strike struct {
	NodeID   string `json:"node_id"`
	Node     string `json:"node"`
	Category string `json:"category"`
	Attempt  int    `json:"attempt"`
}

// Bounds of a ledger, all far above what a run's retries allow.
const (
	maxEntities    = 32
	maxBroken      = 32
	maxFingerprint = 300 // bytes
	// MaxAvoided is how many nodes a run avoids: the newest that failed.
	MaxAvoided = 8
	// MaxUnknownProgress is how many attempts in a row may fail without telling how far they got. They use up no retries, so something
	// else has to end them.
	MaxUnknownProgress = 5
)

// clone is a copy that shares nothing.
func (l RetryLedger) clone() RetryLedger {
	l.Failures = maps.Clone(l.Failures)
	if l.Failures == nil {
		l.Failures = map[string]int{}
	}
	if l.Last = maps.Clone(l.Last); l.Last == nil {
		l.Last = map[string]int{}
	}
	l.Entities, l.Broken, l.Strikes = slices.Clone(l.Entities), slices.Clone(l.Broken), slices.Clone(l.Strikes)
	return l
}

// note appends what is new, and forgets the oldest beyond a bound.
func note(list []string, item string, most int) []string {
	if !slices.Contains(list, item) {
		list = append(list, item)
	}
	return list[max(0, len(list)-most):]
}

// strike counts a failure against a node.
func (l *RetryLedger) strike(s Strike) {
	l.Strikes = append(l.Strikes, s)
	l.Strikes = l.Strikes[max(0, len(l.Strikes)-MaxAvoided):]
}

// Avoided are the nodes with strikes.
func (l RetryLedger) Avoided() (ids NodeIDs, names []string) {
	var all []string
	for _, s := range l.Strikes {
		if !slices.Contains(all, s.NodeID) {
			all, names = append(all, s.NodeID), append(names, s.Node)
		}
	}
	slices.Sort(names)
	return NewNodeIDs(all...), names
}

// NodeIDs are IDs of nodes in one comparable value: sorted, with commas between them.
type NodeIDs string

// NewNodeIDs sorts IDs and drops repeats, and what no ID can be.
func NewNodeIDs(ids ...string) NodeIDs {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == "" || strings.Contains(id, ",") })
	slices.Sort(ids)
	return NodeIDs(strings.Join(slices.Compact(ids), ","))
}

// List are the IDs.
func (n NodeIDs) List() []string {
	if n == "" {
		return nil
	}
	return strings.Split(string(n), ",")
}

// Has reports whether an ID is among them.
func (n NodeIDs) Has(id string) bool { return slices.Contains(n.List(), id) }
