package localnomad

import (
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
)

func inPool(job *api.Job, n *api.Node) bool {
	pool := deref(job.NodePool)
	return pool == "" && n.NodePool == "default" || pool == n.NodePool || pool == "all"
}

func inDatacenter(job *api.Job, n *api.Node) bool {
	for _, pattern := range job.Datacenters {
		if glob(pattern, n.Datacenter) {
			return true
		}
	}
	return false
}

// glob matches "*" with any text, also none. Datacenter patterns know nothing else.
func glob(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	rest, ok := strings.CutPrefix(text, parts[0])
	if !ok {
		return false
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return strings.HasSuffix(rest, parts[last])
}

// eligible says of each class of nodes whether it could ever hold the job.
func (pl *placer) eligible() map[string]bool {
	if len(pl.p.failed) == 0 {
		return nil
	}
	out := map[string]bool{}
	for _, n := range pl.nodes {
		class := pl.classOf(n)
		out[class] = !pl.bad[class]
	}
	return out
}

// infeasible returns why a node can never hold the group, or "". The order of
// the checks and the texts are Nomad's; so is naming only the first node of a
// class that fails.
func (pl *placer) infeasible(tg *api.TaskGroup, n *api.Node) string {
	class := ""
	if !escapes(pl.job, tg) {
		class = pl.classOf(n)
		if pl.bad[class+"/"+*tg.Name] {
			return "computed class ineligible"
		}
	}
	if why := pl.staticallyInfeasible(tg, n); why != "" {
		if class != "" {
			pl.bad[class], pl.bad[class+"/"+*tg.Name] = true, true
		}
		return why
	}
	return pl.notDistinct(tg, n)
}

func (pl *placer) staticallyInfeasible(tg *api.TaskGroup, n *api.Node) string {
	for _, c := range pl.job.Constraints {
		if !meets(c, n) {
			return constraintText(c)
		}
	}
	for _, t := range tg.Tasks {
		if d := n.Drivers[t.Driver]; d == nil || !d.Detected || !d.Healthy {
			return "missing drivers"
		}
	}
	for _, c := range groupConstraints(tg) {
		if !meets(c, n) {
			return constraintText(c)
		}
	}
	var devices []*api.RequestedDevice
	for _, t := range tg.Tasks {
		devices = append(devices, t.Resources.Devices...)
	}
	if len(devices) > 0 && !nodeHasDevices(n, devices) {
		return "missing devices"
	}
	if len(tg.Networks) > 0 {
		switch tg.Networks[0].Mode {
		case "", "host", "none":
		default:
			return "missing network"
		}
	}
	for _, v := range tg.Volumes {
		if v.Type == "csi" {
			return "missing CSI volume(s) " + v.Source
		}
		return "missing compatible host volumes"
	}
	return ""
}

func groupConstraints(tg *api.TaskGroup) []*api.Constraint {
	out := slices.Clone(tg.Constraints)
	for _, t := range tg.Tasks {
		out = append(out, t.Constraints...)
	}
	return out
}

// escapes reports whether a constraint looks at what is unique to a node, so
// that one node's failure says nothing about others of its class.
func escapes(job *api.Job, tg *api.TaskGroup) bool {
	for _, c := range slices.Concat(job.Constraints, groupConstraints(tg)) {
		for _, t := range []string{c.LTarget, c.RTarget} {
			if strings.HasPrefix(t, "${node.unique.") || strings.HasPrefix(t, "${attr.unique.") || strings.HasPrefix(t, "${meta.unique.") {
				return true
			}
		}
	}
	return false
}

func (pl *placer) notDistinct(tg *api.TaskGroup, n *api.Node) string {
	jobWide, groupWide := distinctHosts(pl.job.Constraints), distinctHosts(tg.Constraints)
	if jobWide || groupWide {
		for _, a := range pl.onNode(n) {
			if !serverTerminal(a) && a.JobID == *pl.job.ID && (jobWide || a.TaskGroup == *tg.Name) {
				return api.ConstraintDistinctHosts
			}
		}
	}
	for _, c := range pl.job.Constraints {
		if why := pl.propertyTaken(c, n, ""); why != "" {
			return why
		}
	}
	for _, c := range tg.Constraints {
		if why := pl.propertyTaken(c, n, *tg.Name); why != "" {
			return why
		}
	}
	return ""
}
