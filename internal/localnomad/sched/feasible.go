package sched

import (
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// infeasible returns why a node can never hold the group, or "", with Nomad's texts.
func (pl *placer) infeasible(tg *api.TaskGroup, n *api.Node) string {
	constraints := [][]*api.Constraint{pl.job.Constraints, tg.Constraints}
	var devices []*api.RequestedDevice
	for _, t := range tg.Tasks {
		if d := n.Drivers[t.Driver]; d == nil || !d.Detected || !d.Healthy {
			return "missing drivers"
		}
		constraints = append(constraints, t.Constraints)
		devices = append(devices, t.Resources.Devices...)
	}
	for _, list := range constraints {
		for _, c := range list {
			if !meets(c.LTarget, c.Operand, c.RTarget, func(target string) (string, bool) { return resolveNode(target, n) }) {
				return c.LTarget + " " + c.Operand + " " + c.RTarget
			}
		}
	}
	if !hasDevices(n, devices) {
		return "missing devices"
	}
	if len(tg.Networks) > 0 {
		if mode := tg.Networks[0].Mode; mode != "" && mode != "host" {
			return "missing network"
		}
	}
	for _, v := range tg.Volumes {
		if v.Type == "csi" {
			return "missing CSI volume(s) " + v.Source
		}
		return "missing compatible host volumes"
	}
	return pl.notDistinct(tg, n)
}

// notDistinct applies distinct_hosts.
func (pl *placer) notDistinct(tg *api.TaskGroup, n *api.Node) string {
	jobWide, groupWide := distinctHosts(pl.job.Constraints), distinctHosts(tg.Constraints)
	if !jobWide && !groupWide {
		return ""
	}
	for _, a := range pl.onNode(n) {
		if !state.ServerTerminal(a) && a.JobID == *pl.job.ID && (jobWide || a.TaskGroup == *tg.Name) {
			return api.ConstraintDistinctHosts
		}
	}
	return ""
}

// distinctHosts reports whether the constraints hold an enabled distinct_hosts.
func distinctHosts(constraints []*api.Constraint) bool {
	for _, c := range constraints {
		if c.Operand == api.ConstraintDistinctHosts {
			enabled, err := strconv.ParseBool(c.RTarget)
			return err != nil || enabled
		}
	}
	return false
}

// resolveNode returns what one side of a constraint stands for on a node.
func resolveNode(target string, n *api.Node) (string, bool) {
	inner, ok := strings.CutPrefix(target, "${")
	if !ok {
		return target, true
	}
	v, ok := state.NodeVars(n)[strings.TrimSuffix(inner, "}")]
	return v, ok
}
