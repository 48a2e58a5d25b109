package run_test

import (
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

func TestNodesFindTheirEntriesInConsul(t *testing.T) {
	t.Parallel()
	c := run.Catalog{Datacenters: []string{"ams", "fra"}, Nodes: []run.ConsulNode{
		{Name: "a", Datacenter: "ams", Address: "10.0.0.1"}, {Name: "a", Datacenter: "fra", Address: "10.1.0.1"}, {Name: "b", Datacenter: "fra", Address: "10.1.0.2"},
		{Name: "two-1", Datacenter: "fra", Address: "10.1.0.3"}, {Name: "two-2", Datacenter: "fra", Address: "10.1.0.3"},
	}}
	for name, tc := range map[string]struct {
		node run.Node
		want string
	}{
		"by its name in Consul":           {run.Node{Name: "x", ConsulName: run.ConsulName{Name: "A", Datacenter: "fra", Address: "10.0.0.1"}}, "a@fra"},
		"by a name that is not there":     {run.Node{Name: "a", ConsulName: run.ConsulName{Name: "c", Address: "10.0.0.1"}}, ""},
		"by its own name":                 {run.Node{Name: "b"}, "b@fra"},
		"by a name that two have":         {run.Node{Name: "a"}, ""},
		"by a name that two have, placed": {run.Node{Name: "a", ConsulName: run.ConsulName{Address: "10.1.0.1"}}, ""},
		"by its address":                  {run.Node{Name: "x", ConsulName: run.ConsulName{Address: "10.1.0.2"}}, "b@fra"},
		"by an address that two have":     {run.Node{Name: "x", ConsulName: run.ConsulName{Address: "10.1.0.3"}}, ""},
		"not at all":                      {run.Node{Name: "x"}, ""},
	} {
		nodes := []run.Node{tc.node}
		c.Join(nodes)
		got := ""
		if e := nodes[0].Consul; e != nil {
			got = e.Name + "@" + e.Datacenter
		}
		if got != tc.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestDisagreementsOfNomadAndConsulAreNamed(t *testing.T) {
	t.Parallel()
	failing := func(id, status string) []run.ConsulCheck { return []run.ConsulCheck{{ID: id, Status: status}} }
	for name, tc := range map[string]struct {
		status  string
		entry   *run.ConsulNode
		problem string
		want    string // "" for none
	}{
		"both well":            {"ready", &run.ConsulNode{Health: run.ConsulPassing}, "", ""},
		"a warning":            {"ready", &run.ConsulNode{Health: run.ConsulWarning, Failing: failing("x", run.ConsulWarning)}, "", ""},
		"critical":             {"ready", &run.ConsulNode{Health: run.ConsulCritical, Failing: failing("x", run.ConsulCritical)}, "", "Ready in Nomad, critical in Consul."},
		"an agent that is off": {"ready", &run.ConsulNode{Health: run.ConsulCritical, Failing: failing("serfHealth", run.ConsulCritical)}, "", "do not reach its agent"},
		"a client that is off": {"down", &run.ConsulNode{Health: run.ConsulPassing}, "", "Not ready in Nomad (down), passing in Consul"},
		"both off":             {"down", &run.ConsulNode{Health: run.ConsulCritical, Failing: failing("serfHealth", run.ConsulCritical)}, "", ""},
		"not in the catalog":   {"ready", nil, "", "not in Consul's catalog as a"},
		"Consul away":          {"ready", nil, "Consul is away.", ""},
		"off and gone":         {"down", nil, "", ""},
	} {
		c := run.Catalog{Datacenters: []string{"ams"}, Problem: tc.problem}
		if tc.entry != nil {
			tc.entry.Name, tc.entry.Datacenter = "a", "ams"
			c.Nodes = []run.ConsulNode{*tc.entry}
		}
		nodes := []run.Node{{Name: "a", Status: tc.status, ConsulName: run.ConsulName{Name: "a", Datacenter: "ams"}}}
		c.Join(nodes)
		if got := nodes[0].Disagreement; !strings.Contains(got, tc.want) || (got == "") != (tc.want == "") {
			t.Errorf("%s: %q", name, got)
		}
	}
	elsewhere := []run.Node{{Name: "a", Status: "ready", ConsulName: run.ConsulName{Name: "a", Datacenter: "lon"}}}
	run.Catalog{Datacenters: []string{"ams"}}.Join(elsewhere)
	if elsewhere[0].Disagreement != "" {
		t.Errorf("in a datacenter that is not asked: %q", elsewhere[0].Disagreement)
	}
}

func TestEntriesOfClientsThatWentAreStale(t *testing.T) {
	t.Parallel()
	c := run.Catalog{Nodes: []run.ConsulNode{
		{Name: "a", Client: true, Health: run.ConsulCritical}, {Name: "gone", Client: true, Health: run.ConsulCritical}, {Name: "other region's", Client: true, Health: run.ConsulPassing},
		{Name: "database", Health: run.ConsulCritical},
	}}
	stale := c.Join([]run.Node{{Name: "a", Status: "down"}})
	if len(stale) != 1 || stale[0].Name != "gone" {
		t.Errorf("stale are %+v", stale)
	}
}
