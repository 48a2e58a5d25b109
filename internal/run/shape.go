package run

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"strings"
)

// Shape is what an attempt needs from the cluster. A dispatch cannot change it, so each shape has its own parameterized
// parent job, named by the shape's hash.
type Shape struct {
	Nodes        int    `json:"nodes"`          // workers; one node can hold several
	GPUs         int    `json:"gpus"`           // per worker; 0 asks for none
	GPUModel     string `json:"gpu_model"`      // as the device plugin reports it, "" for any
	GPUMinMemory int    `json:"gpu_min_memory"` // MiB per GPU, 0 for any
	CPU          int    `json:"cpu"`            // MHz per worker
	Memory       int    `json:"memory"`         // MiB per worker
	// Site is the datacenter for all workers, "" for any. omitempty keeps the hashes of shapes without one.
	Site string `json:"site,omitempty"`
	// Vault has the workers' nodes log in at Vault, for secrets that are there.
	Vault bool `json:"vault,omitempty"`
	// Avoid are nodes on which hardware failed under the run; see [Run.Retry].
	Avoid NodeIDs `json:"avoid,omitempty"`

	// Of the run's project, which sets them; "" is what the console's own settings say.
	NodePool  string `json:"node_pool,omitempty"`
	Namespace string `json:"namespace,omitempty"` // of Nomad
	Folder    string `json:"folder,omitempty"`    // below shared storage: where relative paths begin
}

// Unassigned is the shape without what a project, registered secrets and failed attempts set.
func (s Shape) Unassigned() Shape {
	s.NodePool, s.Namespace, s.Folder, s.Vault, s.Avoid = "", "", "", false, ""
	return s
}

// Hash is 12 base32 characters that depend on every field.
func (s Shape) Hash() string {
	b, _ := json.Marshal(s) // cannot fail
	sum := sha256.Sum256(b)
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:12])
}

// ParentJob is the ID of the shape's parameterized job. It ends with the namespace, if the shape has one.
func (s Shape) ParentJob() string {
	id := "cotrain-core-" + s.Hash()
	if s.Namespace != "" {
		id += "." + s.Namespace
	}
	return id
}

// JobNamespace is the namespace of a parent job or its child, "" for the one of the console's settings.
func JobNamespace(id string) string {
	parent, _, _ := strings.Cut(id, "/")
	_, namespace, _ := strings.Cut(parent, ".")
	return namespace
}

// TotalGPUs is the number of GPUs over all workers.
func (s Shape) TotalGPUs() int { return s.Nodes * s.GPUs }

// String describes the shape: "3 nodes with 2 x A100 (at least 40960 MiB)".
func (s Shape) String() string {
	out := fmt.Sprintf("%d nodes", s.Nodes)
	if s.Nodes == 1 {
		out = "1 node"
	}
	site := ""
	if s.Site != "" {
		site = " at " + s.Site
	}
	if s.GPUs == 0 {
		return out + " without GPUs" + site
	}
	model := s.GPUModel
	if model == "" {
		model = "any GPU"
	}
	out += fmt.Sprintf(" with %d x %s", s.GPUs, model)
	if s.GPUMinMemory > 0 {
		out += fmt.Sprintf(" (at least %d MiB)", s.GPUMinMemory)
	}
	return out + site
}
