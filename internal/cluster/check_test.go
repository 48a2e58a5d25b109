package cluster_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/cluster"
	"github.com/cotrain/cotrain/internal/consul/consultest"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/vault/vaulttest"
)

// ready is a world that was set up, and that the console's own token is used in.
func ready(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.setup()
	w.consul.SetService("dc1", "nomad", consultest.Instance{Node: "s1", Address: "10.0.0.1", Port: 4646, Tags: []string{"http"}})
	token, err := cluster.ReadToken(w.o.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	w.nomad.Token = token
	w.vault.Of["root"] = []string{"cotrain-console"}
	return w
}

func (w *world) site() cluster.Site {
	return cluster.Site{
		Namespace: "training", Namespaces: []string{"team-a"}, StorageVolume: "cotrain", Service: "cotrain", Discovers: "nomad", DiscoversTag: "http", VaultRole: "cotrain-runs", KVMount: "secret", JWTMount: "jwt-nomad",
	}
}

func (w *world) check(s cluster.Site) *cluster.Findings {
	w.t.Helper()
	v, c := w.clients()
	f, err := cluster.Check(w.t.Context(), w.nomad, v, c, s)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// at lists what the findings at a level are about.
func at(f *cluster.Findings, level cluster.Level) (out []string) {
	for _, one := range f.Findings {
		if one.Level == level {
			out = append(out, one.About)
		}
	}
	return out
}

func TestWhatSetupGivesIsEnoughAndNotTooMuch(t *testing.T) {
	t.Parallel()
	w := ready(t)
	f := w.check(w.site())
	if f.Count(cluster.Fail) != 0 || f.Count(cluster.Warn) != 0 {
		t.Errorf("it finds\n%s", f)
	}
	for _, about := range []string{"token", "submit-job in training", "read-fs in team-a", "variables:list in training", "node:read", "node_pool:read", "nothing else", "nodes", "gpus", "clocks", "logs", "service nomad"} {
		if !slices.Contains(at(f, cluster.OK), about) {
			t.Errorf("nothing is said about %s:\n%s", about, f)
		}
	}
}

// TestEachRightThatIsMissingIsNamed takes each from the policies that setup wrote.
func TestEachRightThatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	type missing struct{ right, policy, pattern, with string }
	list := []missing{
		{"variables:list in training", "cotrain-console", `(?s)  variables \{.*?\n  \}\n`, ""}, {"node:read", "cotrain-console", `(?s)\nnode \{.*?\n\}\n`, "\n"},
		{"node_pool:read", "cotrain-console", `(?s)node_pool "\*" \{.*?\n\}\n`, ""}, {"host_volume:write in training", "cotrain-storage", `"write"`, `"read"`},
	}
	for _, right := range []string{"list-jobs", "read-job", "submit-job", "dispatch-job", "read-fs", "alloc-lifecycle"} {
		list = append(list, missing{right + " in training", "cotrain-console", `"` + right + `",? ?`, ""}, missing{right + " in team-a", "cotrain-console-team-a", `"` + right + `",? ?`, ""})
	}
	for _, m := range list {
		t.Run(m.right, func(t *testing.T) {
			t.Parallel()
			w := ready(t)
			p := w.nomad.Policies[m.policy]
			before := p.Rules
			if p.Rules = regexp.MustCompile(m.pattern).ReplaceAllString(p.Rules, m.with); p.Rules == before {
				t.Fatal("the policy has no such right")
			}
			w.nomad.Policies[m.policy] = p
			for _, w.nomad.NoAllocs = range []bool{false, true} {
				f := w.check(w.site())
				if failed := at(f, cluster.Fail); !slices.Contains(failed, m.right) {
					t.Errorf("it fails about %v:\n%s", failed, f)
				}
				for _, one := range f.Findings {
					if one.Level == cluster.Fail && one.About == m.right && !strings.HasPrefix(one.Fix, "cotrain cluster setup") {
						t.Errorf("the remedy of %s is %q", m.right, one.Fix)
					}
				}
			}
		})
	}
}

func TestNodesAreComparedWithConsul(t *testing.T) {
	t.Parallel()
	w := ready(t)
	name := w.nomad.Nodes[0].Name
	w.consul.SetNode("dc1", consultest.Node{Name: name})
	if f := w.check(w.site()); f.Count(cluster.Warn) != 0 || !slices.Contains(at(f, cluster.OK), "nodes") {
		t.Errorf("it finds\n%s", f)
	}
	lost := consultest.Check{ID: "serfHealth", Name: "Serf Health Status", Status: "critical", Output: "Agent not live"}
	w.consul.SetNode("dc1", consultest.Node{Name: name, Checks: []consultest.Check{lost}})
	w.consul.SetNode("dc1", consultest.Node{Name: "gone", Checks: []consultest.Check{lost, {ID: "http", Service: "nomad-client", Status: "passing"}}})
	f := w.check(w.site())
	if got := at(f, cluster.Warn); !slices.Equal(got, []string{"node gone", "node " + name, "node " + name}) || f.Count(cluster.Fail) != 0 {
		t.Errorf("it warns of %v\n%s", got, f)
	}
	for _, want := range []string{"stale", "Ready in Nomad, and Consul's other agents do not reach its agent", "Consul's check Serf Health Status is critical: Agent not live."} {
		if !strings.Contains(f.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, f)
		}
	}
}

func TestWhatIsTooMuchIsNamed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, old, with, about string }{
		{"a capability", `"read-fs", `, `"read-fs", "alloc-exec", `, "alloc-exec"},
		{"changing nodes", "node {\n  policy = \"read\"", "node {\n  policy = \"write\"", "node:write"},
		{"reading secrets", `["list"]`, `["list", "read"]`, "variables:read"},
		{"an operator's rights", "# Nodes", "operator {\n  policy = \"write\"\n}\n# Nodes", "operator:write"},
		{"agents", "# Nodes", "agent {\n  policy = \"read\"\n}\n# Nodes", "agent:read"},
		{"another namespace", "# Nodes", "namespace \"default\" {\n  capabilities = [\"submit-job\"]\n}\n# Nodes", "namespace default"},
		{"every namespace", "# Nodes", "namespace \"*\" {\n  capabilities = [\"submit-job\"]\n}\n# Nodes", "namespace *"},
		{"changing pools", "node_pool \"*\" {\n  policy = \"read\"", "node_pool \"*\" {\n  policy = \"write\"", "node_pool:write"},
		{"another volume", "# Nodes", "host_volume \"other\" {\n  policy = \"write\"\n}\n# Nodes", "host_volume"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := ready(t)
			p := w.nomad.Policies["cotrain-console"]
			before := p.Rules
			if p.Rules = strings.Replace(p.Rules, tt.old, tt.with, 1); p.Rules == before {
				t.Fatal("the policy is another")
			}
			w.nomad.Policies["cotrain-console"] = p
			f := w.check(w.site())
			if got := at(f, cluster.Warn); !slices.Equal(got, []string{tt.about}) || f.Count(cluster.Fail) != 0 {
				t.Errorf("it warns of %v:\n%s", got, f)
			}
		})
	}
}

func TestTheTokenItself(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(w *world)
		level  cluster.Level
		about  string
		text   string
	}{
		{"a management token", func(w *world) { w.nomad.Token = "root" }, cluster.Warn, "token", "management token"},
		{"one that Nomad does not know", func(w *world) { w.nomad.Token = "other" }, cluster.Fail, "token", "NOMAD_TOKEN_FILE"},
		{"none", func(w *world) { w.nomad.Token = "" }, cluster.Fail, "token", "no token"},
		{"none, and how to get the first", func(w *world) { w.nomad.Token = "" }, cluster.Fail, "token", "--bootstrap FILE where Nomad has no management token yet"},
		{"ACLs are off", func(w *world) { w.nomad.ACLsOff = true }, cluster.Warn, "acl", "everybody"},
		{"policies that it may not read, and no allocation", func(w *world) { w.nomad.Hidden, w.nomad.NoAllocs = true, true }, cluster.Warn, "read-fs in training", "Check again"},
		{"a namespace that is not there", func(w *world) { w.nomad.Spaces = []string{"training"} }, cluster.Fail, "namespace team-a", "cotrain cluster setup --namespace team-a"},
		{"Nomad is away, in raw words", func(w *world) {
			w.nomad.Down = fmt.Errorf("list: %w: Get \"http://nomad.invalid/v1\": %w", fault.ErrNomadUnreachable, errors.New("dial tcp: refused"))
		}, cluster.Fail, "servers", "(dial tcp: refused)"},
		{"Nomad is away", func(w *world) { w.nomad.Down = fault.New(fault.ErrNomadUnreachable, "Away.", "Start it.") }, cluster.Fail, "servers", "Away."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := ready(t)
			tt.change(w)
			f := w.check(w.site())
			if !slices.Contains(at(f, tt.level), tt.about) || !strings.Contains(f.String(), tt.text) {
				t.Errorf("it finds\n%s", f)
			}
			if !slices.Contains(at(f, cluster.OK), "service nomad") || !slices.Contains(at(f, cluster.OK), "secret/subkeys/cotrain/check") {
				t.Errorf("Vault or Consul was not looked at:\n%s", f)
			}
		})
	}
}

func TestNodesAndServers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(n *nomadtest.Admin, good *nomad.Inspected)
		level  cluster.Level
		text   string
	}{
		{"no driver", func(_ *nomadtest.Admin, n *nomad.Inspected) { delete(n.Drivers, "docker") }, cluster.Fail, "no driver docker"},
		{"a driver that is sick", func(_ *nomadtest.Admin, n *nomad.Inspected) { n.Drivers["docker"] = "no daemon" }, cluster.Fail, "does not work: no daemon"},
		{"no volume", func(_ *nomadtest.Admin, n *nomad.Inspected) { delete(n.Volumes, "cotrain") }, cluster.Fail, "no host volume cotrain"},
		{"a volume to read only", func(_ *nomadtest.Admin, n *nomad.Inspected) { n.Volumes["cotrain"] = true }, cluster.Fail, "read-only"},
		{"too little time for a checkpoint", func(_ *nomadtest.Admin, n *nomad.Inspected) { n.Meta["cotrain_max_kill_timeout"] = "30s" }, cluster.Fail, `max_kill_timeout = "1m0s"`},
		{"unknown time for a checkpoint", func(_ *nomadtest.Admin, n *nomad.Inspected) { n.Meta = nil }, cluster.Warn, "is not known"},
		{"sick GPUs", func(_ *nomadtest.Admin, n *nomad.Inspected) { n.UnfitGPUs = 2 }, cluster.Warn, "2 of its 10 GPUs"},
		{"no GPUs", func(_ *nomadtest.Admin, n *nomad.Inspected) { n.GPUs = 0 }, cluster.Warn, "nomad-device-nvidia"},
		{"no runtime for GPUs", func(_ *nomadtest.Admin, n *nomad.Inspected) { n.Runtimes = "runc" }, cluster.Fail, "nvidia-ctk"},
		{"no TLS", func(_ *nomadtest.Admin, n *nomad.Inspected) { n.TLS = false }, cluster.Warn, "no TLS"},
		{"an old node", func(_ *nomadtest.Admin, n *nomad.Inspected) { n.Version = "1.7.7" }, cluster.Fail, "Nomad 1.7.7"},
		{"another pool", func(_ *nomadtest.Admin, n *nomad.Inspected) { n.Pool = "gpu" }, cluster.Fail, "None of 1 nodes"},
		{"another datacenter", func(a *nomadtest.Admin, _ *nomad.Inspected) { a.Job.Datacenters = []string{"eu-*"} }, cluster.Fail, "eu-*"},
		{"a node that is down", func(_ *nomadtest.Admin, n *nomad.Inspected) { n.Status = "down" }, cluster.Fail, "None of 1 nodes"},
		{"a clock that is behind", func(a *nomadtest.Admin, n *nomad.Inspected) { a.Skew[n.ID] = -3 * time.Second }, cluster.Warn, "at least 2.95s behind"},
		{"a clock that is far ahead", func(a *nomadtest.Admin, n *nomad.Inspected) { a.Skew[n.ID] = time.Minute }, cluster.Fail, "at least 59.95s ahead"},
		{"a full disk", func(a *nomadtest.Admin, _ *nomad.Inspected) { a.DiskUsed = 89.3 }, cluster.Warn, "89 % full"},
		{"an old server", func(a *nomadtest.Admin, _ *nomad.Inspected) { a.Servers[1].Version = "1.7.0-beta.1" }, cluster.Fail, "s2 is Nomad 1.7.0-beta.1"},
		{"a server that is away", func(a *nomadtest.Admin, _ *nomad.Inspected) { a.Servers[1].Alive = false }, cluster.Warn, "s2 of 3 servers"},
		{"one server", func(a *nomadtest.Admin, _ *nomad.Inspected) { a.Servers = a.Servers[:1] }, cluster.Warn, "bootstrap_expect"},
		{"plain gossip", func(a *nomadtest.Admin, _ *nomad.Inspected) { a.Unguarded = true }, cluster.Warn, "gossip"},
		{"no logs", func(a *nomadtest.Admin, _ *nomad.Inspected) { a.Job.LogsOff = true }, cluster.Fail, "disabled = true"},
		{"short logs", func(a *nomadtest.Admin, _ *nomad.Inspected) { a.Job.LogFiles = 2 }, cluster.Warn, "2 files of 10 MiB"},
		{"a job file that does not parse", func(a *nomadtest.Admin, _ *nomad.Inspected) { a.JobErr = errors.New("input.hcl:1: no") }, cluster.Fail, "input.hcl:1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := ready(t)
			tt.change(w.nomad, &w.nomad.Nodes[0])
			f := w.check(w.site())
			if f.Count(tt.level) == 0 || !strings.Contains(f.String(), tt.text) || tt.level == cluster.Warn && f.Count(cluster.Fail) > 0 {
				t.Errorf("it finds\n%s", f)
			}
		})
	}
}

func TestWhatSettingsWeaken(t *testing.T) {
	t.Parallel()
	w := ready(t)
	s := w.site()
	s.Plain, s.VaultPlain = true, true
	if got := at(w.check(s), cluster.Warn); !slices.Equal(got, []string{"tls", "tls"}) {
		t.Errorf("it warns of %v", got)
	}
	s = w.site()
	s.VaultRole = ""
	if f := w.check(s); f.Count(cluster.Warn) != 1 || !strings.Contains(f.String(), "COTRAIN_JOB_VAULT_ROLE") {
		t.Errorf("it finds\n%s", f)
	}
	s = w.site()
	s.SkipVerify = true
	if f := w.check(s); f.Count(cluster.Warn) != 1 || !strings.Contains(f.String(), "NOMAD_SKIP_VERIFY") {
		t.Errorf("it finds\n%s", f)
	}
}

func TestVaultIsChecked(t *testing.T) {
	t.Parallel()
	const role, policy = "auth/jwt-nomad/role/cotrain-runs", "sys/policies/acl/cotrain-console"
	without := func(path string) func(v *vaulttest.Vault) {
		return func(v *vaulttest.Vault) {
			text := v.Admin[policy]["policy"].(string)
			less := regexp.MustCompile(`(?s)path "`+regexp.QuoteMeta(path)+`" \{.*?\n\}\n`).ReplaceAllString(text, "")
			if less == text {
				panic("no such path: " + path)
			}
			v.Admin[policy] = map[string]any{"policy": less}
		}
	}
	for _, tt := range []struct {
		name   string
		change func(v *vaulttest.Vault)
		level  cluster.Level
		text   string
	}{
		{"secrets cannot be listed", without("secret/metadata/cotrain/*"), cluster.Fail, "may not see which secrets are there"},
		{"fields cannot be seen", without("secret/subkeys/cotrain/*"), cluster.Fail, "may not see which fields"},
		{"the role cannot be read", without(role), cluster.Fail, "may not see how runs log in"},
		{"no role", func(v *vaulttest.Vault) { delete(v.Admin, role) }, cluster.Fail, "There is no such role"},
		{"a role for other namespaces", func(v *vaulttest.Vault) {
			v.Admin[role]["bound_claims"] = map[string]any{"nomad_namespace": []any{"team-a"}}
		}, cluster.Fail, "Runs in the namespace training cannot log in"},
		{"a role for another audience", func(v *vaulttest.Vault) { v.Admin[role]["bound_audiences"] = []any{"x"} }, cluster.Fail, "vault.io"},
		{"a role that gives more", func(v *vaulttest.Vault) { v.Admin[role]["token_policies"] = []any{"cotrain-runs", "admin"} }, cluster.Warn, "[admin, cotrain-runs]"},
		{"a root token", func(v *vaulttest.Vault) { delete(v.Of, "root") }, cluster.Warn, "root token"},
		{"a token that reads secrets of runs", func(v *vaulttest.Vault) {
			v.Admin["sys/policies/acl/more"] = map[string]any{"policy": `path "secret/data/*" { capabilities = ["read"] }`}
			v.Of["root"] = append(v.Of["root"], "more")
		}, cluster.Warn, "may read secrets of runs"},
		{"a token that changes policies", func(v *vaulttest.Vault) {
			v.Admin["sys/policies/acl/more"] = map[string]any{"policy": `path "sys/*" { capabilities = ["read", "update"] }`}
			v.Of["root"] = append(v.Of["root"], "more")
		}, cluster.Warn, "may change policies"},
		{"sealed", func(v *vaulttest.Vault) { v.Fails = vaulttest.Sealed }, cluster.Fail, "vault operator unseal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := ready(t)
			w.vault.Do(func() { tt.change(w.vault) })
			f := w.check(w.site())
			if f.Count(tt.level) == 0 || !strings.Contains(f.String(), tt.text) || tt.level == cluster.Warn && f.Count(cluster.Fail) > 0 {
				t.Errorf("it finds\n%s", f)
			}
		})
	}
}

func TestConsulIsChecked(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(s *consultest.Server)
		about  []string
	}{
		{"no right to know the agent", func(s *consultest.Server) { s.Forbid("/v1/agent/self") }, []string{"agent:read"}},
		{"no right to register", func(s *consultest.Server) { s.Forbid("/v1/agent/service/register") }, []string{"service:write cotrain"}},
		{"no right to see nodes and services", func(s *consultest.Server) { s.SetHides(true) }, []string{"node:read", "service nomad"}},
		{"no server of Nomad", func(s *consultest.Server) { s.SetService("dc1", "nomad") }, []string{"service nomad"}},
		{"a token that it does not know", func(s *consultest.Server) { s.SetToken("x") }, []string{"node:read", "agent:read", "service:write cotrain", "service nomad"}},
		{"away", func(s *consultest.Server) { s.Stop() }, []string{"node:read"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := ready(t)
			tt.change(w.consul)
			f := w.check(w.site())
			if got := at(f, cluster.Fail); !slices.Equal(got, tt.about) {
				t.Errorf("it fails about %v:\n%s", got, f)
			}
			if w.consul.Registered("cotrain-check") != nil {
				t.Error("the instance that tried the right is still there")
			}
		})
	}
}
