package cluster

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
)

// CheckedNomad is what is checked of Nomad, with the console's own token.
type CheckedNomad interface {
	NomadRights
	NomadFacts
}

// NomadRights tells what the token may do, by using it and by reading its policies.
type NomadRights interface {
	Grants(ctx context.Context) (nomad.Grants, error)
	TryNamespace(ctx context.Context, namespace string) []nomad.Tried
	TryCluster(ctx context.Context) []nomad.Tried
	TryExcess(ctx context.Context, namespace string) []nomad.Tried
}

// What the console needs of a namespace and its variables. Nomad takes some for others: submit-job covers parsing, read-fs the logs.
var (
	neededCapabilities = []string{"list-jobs", "read-job", "submit-job", "dispatch-job", "read-fs", "alloc-lifecycle"}
	harmless           = []string{"parse-job", "read-logs", "list-scaling-policies", "read-scaling-policy", "read-job-scaling", "csi-list-volume", "csi-read-volume", "host-volume-read", "plan-job", "register-job"}
)

// tokenCommand makes the console's token.
const tokenCommand = "cotrain cluster setup --token-file FILE, with --bootstrap FILE where Nomad has no management token yet"

const variablesPath = "cotrain/*"

// rights checks the token: what is missing, and what is too much.
func (c *check) rights(ctx context.Context) {
	g, err := c.nomad.Grants(ctx)
	switch {
	case errors.Is(err, fault.ErrUnavailable):
		c.failed("rights", "token", err, "")
		return
	case err != nil:
		c.add(Fail, "rights", "token", "Nomad does not accept the console's token.", "Make one, and set it as nomad.token (NOMAD_TOKEN_FILE): "+tokenCommand)
		return
	case !g.ACLs:
		c.add(Warn, "rights", "acl", "Nomad's ACLs are off: everybody who reaches it may do everything.", "Set acl { enabled = true } on all agents, as in nomad/agent/server.hcl, then: cotrain cluster setup --bootstrap FILE --token-file FILE")
	case g.Management:
		c.add(Warn, "rights", "token", "The console has a management token, which may do everything in Nomad.", "cotrain cluster setup --token-file FILE makes one with the rights that it needs.")
	case slices.Equal(g.Policies, []string{"anonymous"}) || len(g.Policies) == 0:
		c.add(Fail, "rights", "token", "The console has no token, or one without policies.", "Make one, and set it as nomad.token (NOMAD_TOKEN_FILE): "+tokenCommand)
		return
	default:
		c.add(OK, "rights", "token", "Its policies are "+strings.Join(g.Policies, ", ")+".", "")
	}
	var spaces []string
	for _, space := range c.site.spaces() {
		tries := c.nomad.TryNamespace(ctx, space)
		if slices.ContainsFunc(tries, func(t nomad.Tried) bool { return errors.Is(t.Err, fault.ErrNamespace) }) {
			c.add(Fail, "rights", "namespace "+space, "Nomad has no namespace "+space+".", c.site.again(space))
			continue
		}
		spaces = append(spaces, space)
		c.tried(tries, space, g)
	}
	c.tried(c.nomad.TryCluster(ctx), "", g)
	if !g.ACLs || g.Management {
		return
	}
	for _, space := range spaces {
		if len(g.Rules) > 0 && !mayListVariables(g, space) {
			c.add(Fail, "rights", c.about("variables:list", space), "The console may not see which secrets are there for runs: no policy lets it list variables at "+variablesPath+".", c.site.again(space))
		} else if len(g.Rules) > 0 {
			c.add(OK, "rights", c.about("variables:list", space), "see which secrets are there for runs", "")
		}
	}
	c.tooMuch(ctx, g)
}

// about is a right with its namespace, where there are several.
func (c *check) about(right, space string) string {
	if space == "" || len(c.site.spaces()) == 1 {
		return right
	}
	return right + " in " + space
}

func (c *check) tried(tries []nomad.Tried, space string, g nomad.Grants) {
	fix := c.site.again(space)
	for _, t := range tries {
		about := c.about(t.Right, space)
		switch {
		case t.Err == nil:
			c.add(OK, "rights", about, t.For, "")
		case errors.Is(t.Err, nomad.ErrUntested):
			c.untested(t, about, space, fix, g)
		case errors.Is(t.Err, nomad.ErrDenied) && t.Right == "submit-job" && c.site.StorageVolume != "" && mayIn(g, space, "submit-job"):
			c.add(Fail, "rights", c.about("host_volume:write", space), "The console may not register jobs that mount the host volume "+c.site.StorageVolume+".", fix+" --storage-volume "+c.site.StorageVolume)
		case errors.Is(t.Err, nomad.ErrDenied):
			c.add(Fail, "rights", about, "The console may not "+t.For+": Nomad refuses "+t.Right+".", fix)
		default:
			c.failed("rights", about, t.Err, "")
		}
	}
}

// untested judges by the policies what nothing in Nomad could show.
func (c *check) untested(t nomad.Tried, about, space, fix string, g nomad.Grants) {
	switch {
	case !g.ACLs || g.Management:
		c.add(OK, "rights", about, t.For, "")
	case len(g.Rules) == 0:
		c.add(Warn, "rights", about, "Not known: "+space+" has no allocation yet, and the token may not read its policies.", "Check again after the first run.")
	case mayIn(g, space, t.Right):
		c.add(OK, "rights", about, t.For+" (as its policies say; there is no allocation yet to try it on)", "")
	default:
		c.add(Fail, "rights", about, "The console may not "+t.For+": no policy of its token has "+t.Right+" in "+space+".", fix)
	}
}

// mayIn reports whether a policy has a capability in a namespace.
func mayIn(g nomad.Grants, space, capability string) bool {
	for _, r := range g.Rules {
		for _, n := range r.Namespaces {
			if ok, _ := path.Match(n.Name, space); ok && slices.Contains(n.Capabilities, capability) {
				return true
			}
		}
	}
	return false
}

func mayListVariables(g nomad.Grants, space string) bool {
	for _, r := range g.Rules {
		for _, n := range r.Namespaces {
			if ok, _ := path.Match(n.Name, space); !ok || n.Variables == nil {
				continue
			}
			for _, p := range n.Variables.Paths {
				covers := p.PathSpec == variablesPath || strings.HasSuffix(p.PathSpec, "*") && strings.HasPrefix(variablesPath, strings.TrimSuffix(p.PathSpec, "*"))
				if covers && slices.Contains(p.Capabilities, "list") {
					return true
				}
			}
		}
	}
	return false
}

// tooMuch says what the token may do beyond the console's needs.
func (c *check) tooMuch(ctx context.Context, g nomad.Grants) {
	before := c.Count(Warn)
	const fix = "Take it out of the policy %s, or write that anew: cotrain cluster setup"
	much := func(policy, about, what string) {
		c.add(Warn, "rights", about, what+", and the console never needs to.", fmt.Sprintf(fix, policy))
	}
	for _, r := range g.Rules {
		c.tooMuchIn(r, much)
		for _, one := range []struct {
			name string
			rule *nomad.Grant
		}{{"node", r.Node}, {"agent", r.Agent}, {"operator", r.Operator}, {"quota", r.Quota}, {"plugin", r.Plugin}} {
			if one.rule == nil || one.rule.Policy == "deny" || one.name == "node" && one.rule.Policy == "read" {
				continue
			}
			much(r.Policy, one.name+":"+one.rule.Policy, "The policy "+r.Policy+" lets it "+one.rule.Policy+" what is of "+one.name)
		}
		for _, p := range r.NodePools {
			if slices.Contains(p.Capabilities, "write") || slices.Contains(p.Capabilities, "delete") {
				much(r.Policy, "node_pool:write", "The policy "+r.Policy+" lets it change the node pools "+p.Name)
			}
		}
		for _, v := range r.HostVolumes {
			if v.Policy != "deny" && v.Name != c.site.StorageVolume {
				much(r.Policy, "host_volume", "The policy "+r.Policy+" lets it mount the host volumes "+v.Name)
			}
		}
	}
	for _, t := range c.nomad.TryExcess(ctx, c.site.Namespace) {
		said := func(f Finding) bool { return f.Level == Warn && f.About == t.Right }
		if t.Err == nil && !slices.ContainsFunc(c.Findings.Findings, said) {
			c.add(Warn, "rights", t.Right, "The console may "+t.For+", as it turns out, and never needs to.", "Take it out of its policies: "+strings.Join(g.Policies, ", "))
		}
	}
	if c.Count(Warn) == before && len(g.Rules) > 0 {
		c.add(OK, "rights", "nothing else", "Its policies give it no more than that.", "")
	}
}

func (c *check) tooMuchIn(r nomad.Rules, much func(policy, about, what string)) {
	for _, n := range r.Namespaces {
		var more []string
		for _, capability := range n.Capabilities {
			if !slices.Contains(neededCapabilities, capability) && !slices.Contains(harmless, capability) && capability != "deny" {
				more = append(more, capability)
			}
		}
		if len(more) > 0 {
			much(r.Policy, strings.Join(more, ", "), "The policy "+r.Policy+" lets it do this in "+n.Name)
		}
		if ours := slices.Contains(c.site.spaces(), n.Name); !ours && slices.Contains(n.Capabilities, "submit-job") {
			c.add(Warn, "rights", "namespace "+n.Name, "The policy "+r.Policy+" lets it submit jobs there, and no setting names it.", "If a project uses it, check it too: cotrain cluster check --namespace "+n.Name+". Else take the policy out of the role "+consoleName+".")
		}
		if n.Variables == nil {
			continue
		}
		for _, p := range n.Variables.Paths {
			for _, capability := range p.Capabilities {
				if capability != "list" && capability != "deny" {
					much(r.Policy, "variables:"+capability, "The policy "+r.Policy+" lets it "+capability+" variables at "+p.PathSpec+" in "+n.Name)
				}
			}
		}
	}
}
