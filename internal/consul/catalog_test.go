package consul_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/consul"
	"github.com/cotrain/cotrain/internal/consul/consultest"
	"github.com/cotrain/cotrain/internal/run"
)

// watchedCatalog is what a watch of the catalog tells.
type watchedCatalog struct {
	t    *testing.T
	mu   sync.Mutex
	last run.Catalog
}

func watchCatalog(t *testing.T, c *consul.Client) *watchedCatalog {
	t.Helper()
	w := &watchedCatalog{t: t}
	background(t, func(ctx context.Context) {
		_ = c.WatchCatalog(ctx, func(now run.Catalog) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.last = now
		})
	})
	return w
}

// node returns what is told of a node, as "health: failing checks", "" for none.
func (w *watchedCatalog) node(name string) (said string, n run.ConsulNode) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.last.Nodes {
		if n.Name != name {
			continue
		}
		said := n.Health + ":"
		for _, f := range n.Failing {
			said += " " + f.ID + "=" + f.Status
		}
		return said, n
	}
	return "", n
}

func (w *watchedCatalog) becomes(name, want string) (n run.ConsulNode) {
	w.t.Helper()
	eventually(w.t, name+" is "+want, func() bool {
		var said string
		said, n = w.node(name)
		return said == want
	})
	return n
}

func (w *watchedCatalog) problem(want string) {
	w.t.Helper()
	eventually(w.t, "the problem is "+want, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return !w.last.At.IsZero() && strings.Contains(w.last.Problem, want) && (want != "" || w.last.Problem == "")
	})
}

func TestNodesAreFollowedWithTheirHealth(t *testing.T) {
	t.Parallel()
	onAgents(t, func(t *testing.T, address string) {
		c := newClient(t, consul.Config{Address: address, Token: os.Getenv("CONSUL_HTTP_TOKEN")})
		name := "cotrain-test-" + strconv.FormatInt(time.Now().UnixNano(), 36)
		register := func(agent, client, output string) {
			t.Helper()
			body, err := json.Marshal(map[string]any{
				"Node": name, "Address": "192.0.2.7", "NodeMeta": map[string]string{"site": "ams", "zone": "r1"}, "SkipNodeUpdate": false,
				"Service": map[string]any{"ID": "nomad-client", "Service": "nomad-client", "Port": 4646},
				"Checks": []map[string]any{
					{"Node": name, "CheckID": "agent", "Name": "Agent", "Status": agent, "Output": output}, // Consul's leader removes nodes that have serfHealth and no agent
					{"Node": name, "CheckID": "http", "Name": "Nomad Client HTTP Check", "ServiceID": "nomad-client", "Status": client},
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			if code := call(t, address, http.MethodPut, "/v1/catalog/register", string(body)); code != http.StatusOK {
				t.Fatalf("register: %d", code)
			}
		}
		deregister := func() {
			t.Helper()
			call(t, address, http.MethodPut, "/v1/catalog/deregister", fmt.Sprintf(`{"Node":%q}`, name))
		}
		w := watchCatalog(t, c)
		register("passing", "passing", "")
		defer deregister()
		eventually(t, "Nomad's client on it is known", func() bool { _, n := w.node(name); return n.Client }) // its check comes after the node
		n := w.becomes(name, "passing:")
		if n.Address != "192.0.2.7" || n.Meta["site"] != "ams" || n.Meta["zone"] != "r1" || n.Datacenter == "" {
			t.Errorf("it is %+v", n)
		}
		register("passing", "warning", "")
		w.becomes(name, "warning: http=warning")
		register("critical", "warning", "Agent\tnot live\x1b[31m or\nunreachable.\n"+strings.Repeat("x", 5000))
		n = w.becomes(name, "critical: agent=critical http=warning")
		if got := n.Failing[0].Output; !strings.HasPrefix(got, "Agent not live [31m or unreachable. xxx") || len(got) > 310 {
			t.Errorf("the output is %q", got)
		}
		if once, err := c.Catalog(t.Context()); err != nil || once.Problem != "" || len(once.Nodes) < 2 {
			t.Errorf("asked once: %+v, %v", once, err)
		}
		deregister()
		w.becomes(name, "")
	})
}

func TestOfManyFailingChecksTheWorstAreKept(t *testing.T) {
	t.Parallel()
	s := consultest.New(t, "dc1")
	n := consultest.Node{Name: "a", Meta: map[string]string{"consul-version": "1.20"}}
	for i := range 20 {
		n.Checks = append(n.Checks, consultest.Check{ID: fmt.Sprintf("w%02d", i), Status: "warning"}, consultest.Check{ID: fmt.Sprintf("p%02d", i), Status: "passing"})
		n.Meta[fmt.Sprintf("key%03d", i)], n.Meta[fmt.Sprintf("key1%02d", i)] = "x", "y"
	}
	n.Checks = append(n.Checks, consultest.Check{ID: "_node_maintenance", Status: "critical", Notes: "new disk"})
	s.SetNode("dc1", n)
	w := watchCatalog(t, newClient(t, consul.Config{Address: s.Address()}))
	got := w.becomes("a", "critical: _node_maintenance=critical w00=warning w01=warning w02=warning w03=warning w04=warning w05=warning w06=warning")
	if got.More != 13 || got.Client || got.Failing[0].Output != "new disk" || len(got.Meta) != 32 || got.Meta["consul-version"] != "" {
		t.Errorf("it is %+v", got)
	}
}

func TestTheCatalogStaysKnownWhileConsulIsAway(t *testing.T) {
	t.Parallel()
	s := consultest.New(t, "ams", "fra")
	s.SetNode("ams", consultest.Node{Name: "a"})
	s.SetNode("fra", consultest.Node{Name: "b", Checks: []consultest.Check{{ID: "x", Status: "critical"}}})
	w := watchCatalog(t, newClient(t, consul.Config{Address: s.Address()}))
	w.becomes("a", "passing:")
	w.becomes("b", "critical: x=critical")
	w.problem("")
	w.mu.Lock()
	before := w.last.At
	w.mu.Unlock()
	s.Stop()
	w.problem("is not reachable")
	w.becomes("b", "critical: x=critical")
	if w.last.At.After(time.Now()) || w.last.At.Before(before) {
		t.Errorf("it is of %v, and was of %v", w.last.At, before)
	}
	s.Start()
	w.problem("")
	s.SetPath("fra", false)
	w.problem("no path to a datacenter")
	s.SetNode("ams", consultest.Node{Name: "a", Checks: []consultest.Check{{ID: "y", Status: "warning"}}})
	w.becomes("a", "warning: y=warning")
	w.becomes("b", "critical: x=critical")
	s.SetPath("fra", true)
	w.problem("")
	s.SetLeader(false)
	w.problem("has no leader")
	s.SetLeader(true)
	w.problem("")
	s.SetHides(true)
	w.problem("hides its nodes from the console's token. Give the token (consul.token, CONSUL_HTTP_TOKEN) node:read")
}
