package nomad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/jobs"
)

const (
	// measureParent is the parent of all measurements. It is registered anew for the nodes of each: there is one at a time.
	measureParent = "cotrain-measure"
	measureGroup  = "nodes"
	measureTask   = "measure"
	measureFile   = "cotrain-measure.nomad.hcl"
)

// Measure starts a measurement and returns the ID of its child job, which exists. For the same measurement it is the same child.
func (c *Client) Measure(ctx context.Context, m measure.Measurement) (string, error) {
	spec, err := json.Marshal(measure.SpecOf(m.Nodes))
	if err != nil {
		return "", fmt.Errorf("encode the nodes of %s: %w", m.ID, err)
	}
	if len(spec) > MaxPayload {
		return "", fmt.Errorf("measure %d nodes: %w: their list has %d bytes, and Nomad takes %d; choose fewer", len(m.Nodes), fault.ErrInvalid, len(spec), MaxPayload)
	}
	vars := c.cfg.Job.measureVariables(m.Nodes)
	parse := func(ctx context.Context) (*api.Job, error) {
		job, err := c.parseHCL(ctx, measureFile, jobs.Measure, vars)
		if err == nil && c.cfg.Namespace != "" {
			job.Namespace = &c.cfg.Namespace
		}
		return job, err
	}
	d := Dispatch{Parent: measureParent, Token: "measure/" + m.ID, Payload: spec}
	meta := map[string]string{"measurement": m.ID, "token": m.Token}
	for try := 0; ; try++ {
		if err := c.ensure(ctx, measureParent, contentHash(jobs.Measure, vars), parse); err != nil {
			return "", err
		}
		child, err := c.dispatch(ctx, d, meta)
		if !errors.Is(err, ErrParentMissing) || try > 0 {
			return child, err
		}
	}
}

// measureVariables renders the variables file of the job for nodes.
func (j JobSettings) measureVariables(nodes []measure.Participant) string {
	var b strings.Builder
	str := func(name, v string) {
		if v != "" {
			b.WriteString(name + " = " + quote(v) + "\n")
		}
	}
	list := func(name string, v []string) {
		if len(v) == 0 {
			return
		}
		quoted := make([]string, len(v))
		for i, e := range v {
			quoted[i] = quote(e)
		}
		b.WriteString(name + " = [" + strings.Join(quoted, ", ") + "]\n")
	}
	ids := make([]string, len(nodes))
	for i, n := range nodes {
		ids[i] = n.ID
	}
	slices.Sort(ids)
	str("job_id", measureParent)
	list("nodes", ids)
	list("command", j.MeasureCommand)
	switch {
	case j.MeasureImage != "" && (j.Driver == "docker" || j.Driver == "podman"):
		str("driver", j.Driver)
		str("image", j.MeasureImage)
	case j.Driver == "exec":
		str("driver", j.Driver)
	}
	str("storage", j.Storage)
	str("storage_volume", j.StorageVolume)
	return b.String()
}

// Probe is the allocation of a measurement on one node.
type Probe struct {
	AllocID  string
	NodeID   string
	Terminal bool   // it has ended, or its node is gone
	Detail   string // Nomad's word on it
}

// Probes returns the newest allocation of a measurement on each node, and the state of its job.
func (c *Client) Probes(ctx context.Context, childID string) ([]Probe, JobState, error) {
	state, err := c.jobState(ctx, childID)
	if err != nil {
		return nil, state, err
	}
	stubs, err := c.allocations(ctx, c.about(ctx, childID), "JobID == "+strconv.Quote(childID))
	if err != nil {
		return nil, state, err
	}
	slices.SortFunc(stubs, func(a, b *api.AllocationListStub) int { return int(b.CreateIndex) - int(a.CreateIndex) }) //nolint:gosec // far below
	var out []Probe
	for _, s := range stubs {
		if s.JobID != childID || slices.ContainsFunc(out, func(p Probe) bool { return p.NodeID == s.NodeID }) {
			continue
		}
		p := Probe{AllocID: s.ID, NodeID: s.NodeID}
		switch s.ClientStatus {
		case api.AllocClientStatusComplete, api.AllocClientStatusFailed, api.AllocClientStatusLost, api.AllocClientStatusUnknown:
			p.Terminal = true
		}
		var events []*api.TaskEvent
		if task := s.TaskStates[measureTask]; task != nil {
			events = task.Events
		}
		p.Detail = detail(s, events)
		out = append(out, p)
	}
	return out, state, nil
}

// errLong ends the reading of a log.
var errLong = errors.New("the log is longer than it may be")

// ProbeLog returns what a node has printed, up to so many bytes; see [Client.TailLog] for errors.
func (c *Client) ProbeLog(ctx context.Context, allocID string, most int) ([]byte, error) {
	var log []byte
	t := &tail{c: c, alloc: allocID, task: measureTask, stream: "stdout", fn: func(chunk LogChunk) error {
		if len(log)+len(chunk.Data) > most {
			return errLong
		}
		log = append(log, chunk.Data...)
		return nil
	}}
	if err := t.run(ctx); err != nil && !errors.Is(err, errLong) {
		return nil, err
	}
	return log, nil
}

// Unplaced says why Nomad has placed no more allocations of a measurement, "" if it does not say.
func (c *Client) Unplaced(ctx context.Context, childID string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	evals, _, err := list[api.Evaluation](c, "read the evaluations of job "+childID, "/v1/job/"+url.PathEscape(childID)+"/evaluations", c.about(ctx, childID))
	if err != nil {
		return "", err
	}
	metric, _ := newestFailure(evals, measureGroup)
	if metric == nil {
		return "", nil
	}
	for _, what := range slices.Sorted(maps.Keys(metric.DimensionExhausted)) {
		return "no room: " + clean(what), nil
	}
	for _, what := range slices.Sorted(maps.Keys(metric.ConstraintFiltered)) {
		if !strings.Contains(what, "node.unique.id") && what != api.ConstraintDistinctHosts { // those that are not asked
			return clean(what), nil
		}
	}
	return "", nil
}
