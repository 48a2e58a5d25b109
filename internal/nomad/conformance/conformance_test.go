package conformance_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/localnomad"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/nomad/conformance"
	"github.com/cotrain/cotrain/internal/nvidia/nvidiatest"
	"github.com/cotrain/cotrain/internal/run"
)

// TestEmbeddedAgent runs the suite against the agent inside the binary, through its in-memory listener.
func TestEmbeddedAgent(t *testing.T) {
	t.Parallel()
	target := embedded(t)
	t.Run("suite", func(t *testing.T) { conformance.Run(t, target) })
	t.Run("node loss", func(t *testing.T) { conformance.RunNodeLoss(t, target) })
}

// TestGPUsOfTheEmbeddedAgentAreMeasured ties the names of the statistics there to those that the client reads.
func TestGPUsOfTheEmbeddedAgentAreMeasured(t *testing.T) { //nolint:paralleltest // sets the PATH
	nvidiatest.Install(t, nvidiatest.Two)
	_, _, client := start(t, localnomad.Options{})
	nodes, err := client.Nodes(t.Context())
	if err != nil || len(nodes) != 1 {
		t.Fatalf("nodes: %+v, %v", nodes, err)
	}
	got, err := client.NodeUsage(t.Context(), nodes[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	want := []run.GPUStats{
		{ID: "GPU-aaaa", Utilization: new(int64(87)), MemoryUsed: new(int64(40960)), MemoryTotal: new(int64(81920)), Power: new(int64(312)), Temperature: new(int64(63))},
		{ID: "GPU-bbbb", Utilization: new(int64(0)), MemoryUsed: new(int64(4)), MemoryTotal: new(int64(81920)), Temperature: new(int64(31))},
	}
	if d := cmp.Diff(want, got.GPUs); d != "" {
		t.Error(d)
	}
}

// TestNomad runs the suite against the agent that NOMAD_ADDR names. COTRAIN_TEST_DEVICE and COTRAIN_TEST_DEVICES say
// which device (vendor/type/name) it has and how many of them on one node. COTRAIN_TEST_NODE_COMMAND is a command that
// makes a node fail and brings it back, called with "fail" or "restore" and the node's ID. COTRAIN_TEST_VAULT is set where it logs tasks in to
// the Vault that VAULT_ADDR and VAULT_TOKEN name, with a policy that lets runs read secret/cotrain/shared and kv1/cotrain/shared. With the
// console's token as NOMAD_TOKEN, COTRAIN_TEST_OPERATOR_TOKEN is a management token for the rest.
func TestNomad(t *testing.T) {
	t.Parallel()
	target := remote(t)
	t.Run("suite", func(t *testing.T) { conformance.Run(t, target) })
	t.Run("node loss", func(t *testing.T) { conformance.RunNodeLoss(t, target) })
}

// embedded starts an agent of two nodes with four simulated GPUs each.
func embedded(tb testing.TB) conformance.Target {
	tb.Helper()
	server, cfg, client := start(tb, localnomad.Options{Nodes: 2, SimulatedGPUs: new(4)})
	nodes, err := client.Nodes(tb.Context())
	if err != nil || len(nodes) == 0 || len(nodes[0].GPUs) == 0 {
		tb.Fatalf("nodes of the embedded agent: %+v, %v", nodes, err)
	}
	return conformance.Target{
		Config: cfg, ShellDriver: "raw_exec", Device: nodes[0].GPUs[0].Model, Devices: len(nodes[0].GPUs),
		FailNode: server.FailNode, RestoreNode: server.RestoreNode,
	}
}

// start runs an embedded agent for a test, with a client of it.
func start(tb testing.TB, opts localnomad.Options) (*localnomad.Server, nomad.Config, *nomad.Client) {
	tb.Helper()
	opts.DataDir = tb.TempDir()
	server, err := localnomad.New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	transport := &http.Transport{DialContext: server.DialContext, MaxIdleConnsPerHost: 32}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			tb.Errorf("stop the embedded agent: %v", err)
		}
		transport.CloseIdleConnections()
	})
	if err := server.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	cfg := nomad.Config{HTTPClient: &http.Client{Transport: transport}}
	client, err := nomad.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return server, cfg, client
}

// remote is the real agent, or a skip with the reason.
func remote(tb testing.TB) conformance.Target {
	tb.Helper()
	addr := os.Getenv("NOMAD_ADDR")
	if addr == "" {
		tb.Skip("NOMAD_ADDR is not set: nothing ran against a real Nomad agent")
	}
	devices, _ := strconv.Atoi(os.Getenv("COTRAIN_TEST_DEVICES")) // 0 without
	target := conformance.Target{
		Config: nomad.Config{
			Address: addr, Token: os.Getenv("NOMAD_TOKEN"), Namespace: os.Getenv("NOMAD_NAMESPACE"), Region: os.Getenv("NOMAD_REGION"),
			CACert: os.Getenv("NOMAD_CACERT"), ClientCert: os.Getenv("NOMAD_CLIENT_CERT"), ClientKey: os.Getenv("NOMAD_CLIENT_KEY"),
		},
		OperatorToken: os.Getenv("COTRAIN_TEST_OPERATOR_TOKEN"), ShellDriver: "raw_exec", Device: os.Getenv("COTRAIN_TEST_DEVICE"), Devices: devices,
	}
	if os.Getenv("COTRAIN_TEST_VAULT") != "" {
		target.Vault = &conformance.Vault{Address: os.Getenv("VAULT_ADDR"), Token: os.Getenv("VAULT_TOKEN")}
	}
	if command := os.Getenv("COTRAIN_TEST_NODE_COMMAND"); command != "" {
		do := func(what string) func(string) error {
			return func(id string) error { return exec.Command(command, what, id).Run() } //nolint:gosec,noctx // the tester's own command
		}
		target.FailNode, target.RestoreNode = do("fail"), do("restore")
	}
	return target
}

// BenchmarkDispatch is the raw dispatch call and the client's verified one on the same agent: the embedded one, or a
// real one where NOMAD_ADDR is set.
func BenchmarkDispatch(b *testing.B) {
	target := embedded
	if os.Getenv("NOMAD_ADDR") != "" {
		target = remote
	}
	conformance.BenchmarkDispatch(b, target(b))
}
