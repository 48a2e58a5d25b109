package nomadtest

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
)

// Admin is a Nomad in memory as cluster setup and check know it: its policies count, by their text. The fields are for tests, between
// calls.
type Admin struct {
	mu sync.Mutex

	Policies  map[string]nomad.Policy
	Roles     map[string][]string // policies by name
	Spaces    []string
	Pools     []string
	Tokens    map[string]string // roles by secret; "" for management
	Token     string            // the secret that is used
	ACLsOff   bool
	Down      error
	Writes    []string // what was changed
	NoAllocs  bool     // so that reading logs cannot be tried
	Hidden    bool     // the token may not read its policies
	Volume    string   // host volume that jobs mount
	Servers   []nomad.Member
	Nodes     []nomad.Inspected
	Job       nomad.JobFacts
	JobErr    error
	Skew      map[string]time.Duration // by node ID
	DiskUsed  float64                  // of every node, in percent
	Unguarded bool                     // gossip is not encrypted
}

// NewAdmin is one with the namespace default, a healthy server and node, and no policies.
func NewAdmin() *Admin {
	return &Admin{
		Policies: map[string]nomad.Policy{}, Roles: map[string][]string{}, Spaces: []string{"default"}, Pools: []string{"all", "default"}, Tokens: map[string]string{"root": ""}, Token: "root",
		Servers: []nomad.Member{{Name: "s1", Version: "2.0.5", Alive: true}, {Name: "s2", Version: "2.0.5", Alive: true}, {Name: "s3", Version: "2.0.5", Alive: true}},
		Nodes:   []nomad.Inspected{GoodNode("n1")}, Job: nomad.JobFacts{Driver: "docker", KillTimeout: time.Minute, LogFiles: 10, LogMB: 10, Pool: "default", Volumes: []string{"cotrain"}, Datacenters: []string{"*"}},
		Skew: map[string]time.Duration{}, Volume: "cotrain",
	}
}

// GoodNode is a node with all that jobs ask for.
func GoodNode(name string) nomad.Inspected {
	return nomad.Inspected{
		ID: "id-" + name, Name: name, Datacenter: "dc1", Pool: "default", Version: "2.0.5", Status: "ready", Eligible: true, TLS: true, Drivers: map[string]string{"docker": ""},
		Runtimes: "runc,nvidia", GPUs: 8, Volumes: map[string]bool{"cotrain": false}, Meta: map[string]string{"cotrain_max_kill_timeout": "5m"},
	}
}

// read and write begin a call; only a management token may make most.
func (a *Admin) read() error {
	a.mu.Lock()
	if a.Down != nil {
		return a.Down
	}
	if role, ok := a.Tokens[a.Token]; !ok || role != "" {
		return fault.New(fault.ErrNomadDenied, "Nomad does not let the token do this.", "Give a management token as nomad.token (NOMAD_TOKEN).")
	}
	return nil
}

func (a *Admin) write(what string) error {
	err := a.read()
	if err == nil {
		a.Writes = append(a.Writes, what)
	}
	return err
}

// Policy is [nomad.Client.Policy].
func (a *Admin) Policy(_ context.Context, name string) (nomad.Policy, bool, error) {
	defer a.mu.Unlock()
	err := a.read()
	p, ok := a.Policies[name]
	return p, ok, err
}

// PutPolicy is [nomad.Client.PutPolicy].
func (a *Admin) PutPolicy(_ context.Context, p nomad.Policy) error {
	defer a.mu.Unlock()
	err := a.write("policy " + p.Name)
	if err == nil {
		a.Policies[p.Name] = p
	}
	return err
}

// Role is [nomad.Client.Role].
func (a *Admin) Role(_ context.Context, name string) ([]string, bool, error) {
	defer a.mu.Unlock()
	err := a.read()
	p, ok := a.Roles[name]
	return p, ok, err
}

// PutRole is [nomad.Client.PutRole].
func (a *Admin) PutRole(_ context.Context, name, _ string, policies []string) error {
	defer a.mu.Unlock()
	err := a.write("role " + name)
	if err == nil {
		a.Roles[name] = policies
	}
	return err
}

// HasNamespace is [nomad.Client.HasNamespace].
func (a *Admin) HasNamespace(_ context.Context, name string) (bool, error) {
	defer a.mu.Unlock()
	err := a.read()
	return slices.Contains(a.Spaces, name), err
}

// CreateNamespace is [nomad.Client.CreateNamespace].
func (a *Admin) CreateNamespace(_ context.Context, name, _ string) error {
	defer a.mu.Unlock()
	err := a.write("namespace " + name)
	a.Spaces = append(a.Spaces, name)
	return err
}

// HasNodePool is [nomad.Client.HasNodePool].
func (a *Admin) HasNodePool(_ context.Context, name string) (bool, error) {
	defer a.mu.Unlock()
	err := a.read()
	return slices.Contains(a.Pools, name), err
}

// CreateNodePool is [nomad.Client.CreateNodePool].
func (a *Admin) CreateNodePool(_ context.Context, name, _ string) error {
	defer a.mu.Unlock()
	err := a.write("node pool " + name)
	a.Pools = append(a.Pools, name)
	return err
}

// CreateToken is [nomad.Client.CreateToken].
func (a *Admin) CreateToken(_ context.Context, name, role string) (string, error) {
	defer a.mu.Unlock()
	err := a.write("token " + name)
	secret := fmt.Sprintf("00000000-0000-4000-8000-%012d", len(a.Tokens))
	a.Tokens[secret] = role
	return secret, err
}

// CreateManagementToken is [nomad.Client.CreateManagementToken].
func (a *Admin) CreateManagementToken(ctx context.Context, name string) (string, error) {
	return a.CreateToken(ctx, name, "")
}

// TokenHasRole is [nomad.Client.TokenHasRole].
func (a *Admin) TokenHasRole(_ context.Context, secret, role string) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	has, ok := a.Tokens[secret]
	if ok && has == "" {
		return false, nomad.ErrManagementToken
	}
	return ok && has == role, a.Down
}

// OtherTokens is [nomad.Client.OtherTokens], for tokens that are named as their role.
func (a *Admin) OtherTokens(_ context.Context, name, secret string) (accessors []string, err error) {
	defer a.mu.Unlock()
	err = a.read()
	for s, role := range a.Tokens {
		if role == name && s != secret {
			accessors = append(accessors, "accessor-of-"+s)
		}
	}
	slices.Sort(accessors)
	return accessors, err
}

var (
	spaceBlock   = regexp.MustCompile(`(?s)namespace "([^"]*)" \{\n(.*?)\n\}`)
	capabilities = regexp.MustCompile(`(?m)^  capabilities = \[(.*)\]`)
	variables    = regexp.MustCompile(`path "([^"]*)" \{\s*capabilities = \[(.*)\]`)
	otherBlock   = regexp.MustCompile(`(?s)(?m)^(node|agent|operator|node_pool|host_volume) (?:"([^"]*)" )?\{\s*policy = "(\w+)"`)
)

func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == '"' || r == ',' || r == ' ' })
}

// rules reads a policy's text, as far as this repository's have something.
func rules(p nomad.Policy) nomad.Rules {
	r := nomad.Rules{Policy: p.Name}
	for _, m := range spaceBlock.FindAllStringSubmatch(p.Rules, -1) {
		space := nomad.NamespaceRule{Name: m[1]}
		if c := capabilities.FindStringSubmatch(m[2]); c != nil {
			space.Capabilities = words(c[1])
		}
		for _, v := range variables.FindAllStringSubmatch(m[2], -1) {
			space.Variables = &nomad.VariableRules{Paths: []nomad.VariableRule{{PathSpec: v[1], Capabilities: words(v[2])}}}
		}
		r.Namespaces = append(r.Namespaces, space)
	}
	for _, m := range otherBlock.FindAllStringSubmatch(p.Rules, -1) {
		g := nomad.Grant{Name: m[2], Policy: m[3], Capabilities: map[string][]string{"read": {"read"}, "write": {"read", "write", "delete"}}[m[3]]}
		switch m[1] {
		case "node":
			r.Node = &g
		case "agent":
			r.Agent = &g
		case "operator":
			r.Operator = &g
		case "node_pool":
			r.NodePools = append(r.NodePools, g)
		case "host_volume":
			r.HostVolumes = append(r.HostVolumes, g)
		}
	}
	return r
}

// Grants is [nomad.Client.Grants].
func (a *Admin) Grants(context.Context) (nomad.Grants, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	role, ok := a.Tokens[a.Token]
	switch {
	case a.Down != nil || a.ACLsOff:
		return nomad.Grants{}, a.Down
	case a.Token == "":
		return nomad.Grants{ACLs: true, Policies: []string{"anonymous"}}, nil
	case !ok:
		return nomad.Grants{ACLs: true}, nomad.ErrDenied
	case role == "":
		return nomad.Grants{ACLs: true, Management: true}, nil
	}
	g := nomad.Grants{ACLs: true, Policies: a.Roles[role]}
	for _, name := range a.Roles[role] {
		if p, ok := a.Policies[name]; ok && !a.Hidden {
			g.Rules = append(g.Rules, rules(p))
		}
	}
	return g, nil
}

// may reports whether a policy of the token fits.
func (a *Admin) may(fits func(nomad.Rules) bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	role, ok := a.Tokens[a.Token]
	if a.Down != nil || a.ACLsOff || ok && role == "" {
		return a.Down
	}
	for _, name := range a.Roles[role] {
		if p, there := a.Policies[name]; there && fits(rules(p)) {
			return nil
		}
	}
	return nomad.ErrDenied
}

func (a *Admin) mayIn(space, capability string) error {
	return a.may(func(r nomad.Rules) bool {
		return slices.ContainsFunc(r.Namespaces, func(n nomad.NamespaceRule) bool {
			ok, _ := path.Match(n.Name, space)
			return ok && slices.Contains(n.Capabilities, capability)
		})
	})
}

// TryNamespace is [nomad.Client.TryNamespace].
func (a *Admin) TryNamespace(_ context.Context, space string) []nomad.Tried {
	var out []nomad.Tried
	for _, right := range []string{"list-jobs", "read-job", "submit-job", "dispatch-job", "read-fs", "alloc-lifecycle"} {
		out = append(out, nomad.Tried{Right: right, For: "do what takes " + right, Err: a.mayIn(space, right)})
	}
	if out[2].Err == nil && a.Volume != "" {
		out[2].Err = a.may(func(r nomad.Rules) bool {
			return slices.ContainsFunc(r.HostVolumes, func(v nomad.Grant) bool { return v.Name == a.Volume && v.Policy == "write" })
		})
	}
	if !slices.Contains(a.Spaces, space) {
		out[2].Err = fault.New(fault.ErrNamespace, "Nomad has no namespace "+space+".", "")
	}
	if a.NoAllocs {
		out[4].Err, out[5].Err = nomad.ErrUntested, nomad.ErrUntested
	}
	return out
}

// TryCluster is [nomad.Client.TryCluster].
func (a *Admin) TryCluster(context.Context) []nomad.Tried {
	node := a.may(func(r nomad.Rules) bool { return r.Node != nil })
	return []nomad.Tried{
		{Right: "node:read", For: "see nodes", Err: node}, {Right: "events", For: "follow jobs and nodes", Err: node},
		{Right: "node_pool:read", For: "check a project's node pool", Err: a.may(func(r nomad.Rules) bool { return len(r.NodePools) > 0 })},
	}
}

// TryExcess is [nomad.Client.TryExcess].
func (a *Admin) TryExcess(_ context.Context, _ string) []nomad.Tried {
	return []nomad.Tried{{Right: "node:write", For: "drain nodes", Err: a.may(func(r nomad.Rules) bool { return r.Node != nil && r.Node.Policy == "write" })}}
}

// Members is [nomad.Client.Members].
func (a *Admin) Members(context.Context) ([]nomad.Member, error) { return a.Servers, a.Down }

// Inspect is [nomad.Client.Inspect].
func (a *Admin) Inspect(context.Context) ([]nomad.Inspected, error) {
	return a.Nodes, a.may(func(r nomad.Rules) bool { return r.Node != nil })
}

// JobFacts is [nomad.Client.JobFacts].
func (a *Admin) JobFacts(context.Context) (nomad.JobFacts, error) { return a.Job, a.JobErr }

// Host is [nomad.Client.Host].
func (a *Admin) Host(_ context.Context, id string) (nomad.Host, error) {
	return nomad.Host{Least: a.Skew[id] - 50*time.Millisecond, Most: a.Skew[id] + 50*time.Millisecond, Known: true, DiskUsed: a.DiskUsed}, nil
}

// Gossip is [nomad.Client.Gossip].
func (a *Admin) Gossip(context.Context) (encrypted, known bool) { return !a.Unguarded, true }

// Ping is [nomad.Client.Ping].
func (a *Admin) Ping(context.Context) (nomad.Info, error) { return nomad.Info{}, a.Down }
