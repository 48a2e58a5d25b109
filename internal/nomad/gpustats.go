package nomad

import (
	"context"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/run"
)

// GPUStats returns a node's GPU statistics by ID, under the names of Nomad's NVIDIA plugin, without GPUs that report
// none.
func (c *Client) GPUStats(ctx context.Context, nodeID string) ([]run.GPUStats, error) {
	q := query(ctx)
	q.Params["node_id"] = nodeID
	var host struct{ DeviceStats []*api.DeviceGroupStats }
	if _, err := c.calls.Raw().Query("/v1/client/stats", &host, q); err != nil {
		return nil, classify("measure the GPUs of node "+nodeID, err)
	}
	var out []run.GPUStats
	for _, group := range host.DeviceStats {
		if group == nil {
			continue
		}
		for id, device := range group.InstanceStats {
			if device == nil || device.Stats == nil {
				continue
			}
			values := device.Stats.Attributes
			st := run.GPUStats{ID: id, Utilization: statOf(values["GPU utilization"]), Power: statOf(values["Power usage"]), Temperature: statOf(values["Temperature"])}
			if m := values["Memory state"]; m != nil {
				st.MemoryUsed, st.MemoryTotal = m.IntNumeratorVal, m.IntDenominatorVal
			}
			if st != (run.GPUStats{ID: id}) {
				out = append(out, st)
			}
		}
	}
	slices.SortFunc(out, func(a, b run.GPUStats) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// statOf returns a statistic's number, or nil.
func statOf(v *api.StatValue) *int64 {
	if v == nil {
		return nil
	}
	return v.IntNumeratorVal
}
