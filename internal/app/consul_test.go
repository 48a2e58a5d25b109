package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/consul"
	"github.com/cotrain/cotrain/internal/consul/consultest"
	"github.com/cotrain/cotrain/internal/run"
)

// nomadServer is one with a leader and without jobs. It is in Consul as what is returned.
func nomadServer(t *testing.T, node string) (*httptest.Server, consultest.Instance) {
	t.Helper()
	mux := http.NewServeMux()
	answer := func(v any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Nomad-Index", "7")
			_ = json.NewEncoder(w).Encode(v)
		}
	}
	mux.HandleFunc("GET /v1/status/leader", answer("127.0.0.1:4647"))
	mux.HandleFunc("GET /v1/agent/self", answer(map[string]any{}))
	for _, list := range []string{"jobs", "nodes", "allocations", "evaluations"} {
		mux.HandleFunc("GET /v1/"+list, answer([]any{}))
	}
	mux.HandleFunc("GET /v1/event/stream", func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	s := httptest.NewUnstartedServer(mux)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	host, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return s, consultest.Instance{Node: node, Address: host, Port: number, Tags: []string{"http"}}
}

func becomes(t *testing.T, what string, is func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// TestServersOfNomadAreFoundInConsul also has a stale catalog entry: a server that is dead and said to be healthy.
func TestServersOfNomadAreFoundInConsul(t *testing.T) {
	t.Parallel()
	agent := consultest.New(t, "ams", "fra")
	first, a := nomadServer(t, "a")
	_, b := nomadServer(t, "b")
	app, _ := newApp(t, testConfig(t, func(c *config.Config) {
		c.Dev, c.Nomad.Address, c.Consul.Address = false, "consul://nomad", agent.Address()
	}))
	start(t, app)
	message := func(want string) func() bool {
		return func() bool {
			got := app.health.system().Message
			return want == "" && got == "" || want != "" && strings.Contains(got, want)
		}
	}
	becomes(t, "it is said that there are none", message("Consul knows no healthy instance of the service nomad with the tag http. Check nomad.address (NOMAD_ADDR)"))
	agent.SetService("fra", "nomad", b)
	agent.SetService("ams", "nomad", a)
	uses := func(address string) func() bool {
		return func() bool {
			all := app.nomad.Servers()
			for _, s := range all {
				if s.InUse {
					return s.Address == address && len(all) == 2 && all[0].Datacenter == "ams"
				}
			}
			return false
		}
	}
	atB := fmt.Sprintf("http://%s:%d", b.Address, b.Port)
	becomes(t, "the nearer is preferred", func() bool { all := app.nomad.Servers(); return len(all) == 2 && all[0].Address == first.URL })
	becomes(t, "all is well", message(""))
	first.CloseClientConnections()
	first.Close()
	becomes(t, "the other is used", uses(atB))
	agent.Stop()
	becomes(t, "it is said that Consul is away", message("is not reachable: "))
	if got := app.health.system(); got.Nomad != "ok" || !strings.HasSuffix(got.Message, "The console goes on with the servers of Nomad that it knows.") {
		t.Errorf("the health is %+v", got)
	}
	if _, err := app.nomad.Nodes(t.Context()); err != nil {
		t.Errorf("without Consul: %v", err)
	}
	if code, err := get(app, "/readyz"); code != http.StatusOK || err != nil {
		t.Errorf("it is ready: %d, %v", code, err)
	}
	agent.Start()
	becomes(t, "all is well again", message(""))
}

func TestTheCatalogIsShownAndStaysWithoutConsul(t *testing.T) {
	t.Parallel()
	agent := consultest.New(t, "ams")
	agent.SetNode("ams", consultest.Node{Name: "gone", Checks: []consultest.Check{{ID: "serfHealth", Service: "nomad-client", Status: "critical", Output: "not live"}}})
	server, _ := nomadServer(t, "a")
	app, _ := newApp(t, testConfig(t, func(c *config.Config) {
		c.Dev, c.Nomad.Address, c.Consul.Address = false, server.URL, agent.Address()
	}))
	start(t, app)
	becomes(t, "the catalog is known", func() bool { c := app.catalog.Load(); return c != nil && c.Problem == "" && len(c.Nodes) == 2 })
	agent.Stop()
	becomes(t, "it is old", func() bool {
		c := app.catalog.Load()
		return strings.Contains(c.Problem, "is not reachable") && len(c.Nodes) == 2 && !c.At.IsZero()
	})
	if code, err := get(app, "/readyz"); code != http.StatusOK || err != nil {
		t.Errorf("it is ready: %d, %v", code, err)
	}
}

func TestNobodyAsksNomadBeforeConsulHasSaidWhereItIs(t *testing.T) {
	t.Parallel()
	agent := consultest.New(t, "ams")
	_, a := nomadServer(t, "a")
	agent.SetService("ams", "nomad", a)
	app, log := newApp(t, testConfig(t, func(c *config.Config) {
		c.Dev, c.Nomad.Address, c.Consul.Address = false, "consul://nomad", agent.Address()
	}))
	start(t, app)
	if len(app.nomad.Servers()) != 1 {
		t.Error("no server is known when the console has started")
	}
	if text := log.String(); strings.Contains(text, "has not been asked") {
		t.Errorf("the log is %s", text)
	}
}

func TestTheConsoleIsInConsulWhileItServes(t *testing.T) {
	t.Parallel()
	agent := consultest.New(t, "ams")
	for name, tc := range map[string]struct {
		change func(*config.Config)
		host   string // that the check asks for
	}{
		"alone":              {func(*config.Config) {}, ""},
		"below a public URL": {func(c *config.Config) { c.PublicURL = "https://train.example/cotrain" }, "train.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, _ := newApp(t, testConfig(t, func(c *config.Config) {
				c.Dev, c.Consul.Address, c.Consul.Service, c.Consul.ServiceTags = false, agent.Address(), "cotrain", []string{"metrics"}
				c.Nomad.Address = "http://127.0.0.1:1"
				tc.change(c)
			}))
			start(t, app)
			r, err := app.registration()
			if err != nil {
				t.Fatal(err)
			}
			becomes(t, "it is registered", func() bool { return agent.Registered(r.ID) != nil })
			if got := agent.Registered(r.ID); fmt.Sprintln(got["Name"], got["Address"], got["Port"], got["Tags"]) != "cotrain 127.0.0.1 "+strings.TrimPrefix(app.Addr(), "127.0.0.1:")+" [metrics]\n" {
				t.Errorf("it is %v", got)
			}
			check, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.Check.URL, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			check.Host = r.Check.Host
			resp, err := http.DefaultClient.Do(check)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			http.DefaultClient.CloseIdleConnections()
			if resp.StatusCode != http.StatusOK || r.Check.Host != tc.host {
				t.Errorf("its check gives %s", resp.Status)
			}
			stop(t, app)
			if agent.Registered(r.ID) != nil {
				t.Error("it stays registered")
			}
		})
	}
}

func TestHowTheConsoleIsRegistered(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	port := l.Addr().(*net.TCPAddr).Port
	for name, tc := range map[string]struct {
		cfg  config.Config
		want consul.Registration
	}{
		"on all addresses":     {config.Config{}, consul.Registration{Port: port, Check: consul.Check{URL: fmt.Sprintf("http://127.0.0.1:%d/healthz", port)}}},
		"where others find it": {config.Config{Consul: config.Consul{ServiceAddress: "10.0.0.5:8443"}}, consul.Registration{Address: "10.0.0.5", Port: 8443, Check: consul.Check{URL: "http://10.0.0.5:8443/healthz"}}},
		"with mutual TLS":      {config.Config{TLS: config.TLS{ClientCA: "ca.pem"}, Consul: config.Consul{ServiceAddress: "10.0.0.5:8443"}}, consul.Registration{Address: "10.0.0.5", Port: 8443, Check: consul.Check{TCP: "10.0.0.5:8443"}}},
	} {
		tc.cfg.Consul.Service = "cotrain"
		a := &App{cfg: tc.cfg, listener: l}
		got, err := a.registration()
		if err != nil || !strings.HasPrefix(got.ID, "cotrain-") || !strings.HasSuffix(got.ID, "-"+strconv.Itoa(tc.want.Port)) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		got.ID, got.Meta = "", nil
		tc.want.Name = "cotrain"
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestDistancesAreAMatrixOfSites(t *testing.T) {
	t.Parallel()
	at := func(dc string, x float64) consul.Place {
		return consul.Place{Datacenter: dc, Coordinate: consul.Coordinate{Vec: []float64{x}}}
	}
	now := time.Now()
	got := distancesOf(consul.Map{At: now, Servers: []consul.Place{at("fra", 0.01), at("ams", 0)}, Nodes: []consul.Place{at("ams", 0), at("ams", 0.002)}})
	want := run.Distances{Sites: []string{"ams", "fra"}, At: now, RoundTrips: [][]time.Duration{{2 * time.Millisecond, 10 * time.Millisecond}, {10 * time.Millisecond, -1}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
