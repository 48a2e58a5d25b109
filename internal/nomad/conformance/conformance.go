package conformance

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/certfile"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
)

// Target is an agent to test.
type Target struct {
	// Config reaches the agent. Its Job is replaced by the suite.
	Config nomad.Config
	// OperatorToken is for what the console never does, "" for the console's own: variables, namespaces, allocations that restart.
	OperatorToken string
	// ShellDriver runs /bin/sh on the nodes: "raw_exec".
	ShellDriver string
	// Device is the name of a device that is present, as vendor/type/name; "" skips what needs one.
	Device string
	// Devices is how many of it are free on one node, at least 2.
	Devices int
	// Vault is nil where the agent has none.
	Vault *Vault
	// FailNode takes a node away as a power cut does, and RestoreNode brings it back; nil skips what needs them.
	FailNode, RestoreNode func(nodeID string) error

	// memory makes the shapes of concurrent tests differ, and with them their parents.
	memory *atomic.Int64
}

// Run runs the suite as subtests of t. It leaves no job behind.
func Run(t *testing.T, target Target) {
	target.prepare()
	for _, c := range []struct {
		name string
		test func(*testing.T, Target)
	}{
		{"agent", testAgent}, {"parents", testParents}, {"dispatch", testDispatch}, {"dispatch refusals", testDispatchRefusals},
		{"outcomes", testOutcomes}, {"stopping", testStopping}, {"killing", testKilling}, {"signals", testSignals}, {"environment", testEnvironment}, {"rendezvous", testRendezvous},
		{"logs", testLogs}, {"log rotation", testLogRotation}, {"log refusals", testLogRefusals}, {"events", testEvents}, {"event stream", testEventStream},
		{"blocking queries", testBlocking}, {"pending", testPending}, {"devices", testDevices}, {"lists", testLists}, {"usage", testUsage},
		{"plan", testPlan}, {"room", testRoom}, {"a parent before it is registered", testJobBeforeRegistration},
		{"launches", testLaunches}, {"secrets", testSecrets}, {"vault", testVault}, {"namespaces", testNamespaces}, {"coming back", testComingBack}, {"priority", testPriority},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, target)
		})
	}
}

// RunNodeLoss makes a node fail and come back. It is apart from [Run] because other tests' workers may be on that node.
func RunNodeLoss(t *testing.T, target Target) {
	target.prepare()
	testNodeLoss(t, target)
}

// limit is how long nothing may move, on a slow and busy machine, before a test gives up.
const limit = 2 * time.Minute

// payloadIsScript is a command whose configuration is a shell script: launch.sh appends "@" and the file's path.
var payloadIsScript = []string{"/bin/sh", "-c", `f=$(printf %s "$0" | cut -c2-); . "$f"`}

// bench is one test's client, with parents that no other test uses.
type bench struct {
	*testing.T
	client *nomad.Client
	plain  *http.Client // for calls without the client
	target Target
	shape  run.Shape

	mu       sync.Mutex
	children []string
	parents  map[string]bool
	next     int
}

// prepare fills in what Run and RunNodeLoss share.
func (target *Target) prepare() {
	if target.ShellDriver == "" {
		target.ShellDriver = "raw_exec"
	}
	// Where it begins differs between runs, so that two at one real agent do not use the same parents.
	target.memory = new(atomic.Int64)
	target.memory.Store(16 + time.Now().UnixMilli()%400)
}

// jobFile is a job file with that text.
func jobFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "job.hcl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// newBench returns a client for jobs made by settings, which may be nil, and cleans up after the test.
func newBench(t *testing.T, target Target, settings func(*nomad.JobSettings)) *bench {
	t.Helper()
	cfg := target.Config
	cfg.Job = nomad.JobSettings{
		Driver: target.ShellDriver, Command: payloadIsScript, KillTimeout: 2 * time.Second,
		RendezvousTimeout: 30 * time.Second, LogFiles: 3, LogFileMB: 1, Disk: 20,
	}
	if settings != nil {
		settings(&cfg.Job)
	}
	client, err := nomad.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{
		T: t, client: client, target: target, parents: map[string]bool{},
		shape: run.Shape{Nodes: 1, CPU: 10, Memory: int(target.memory.Add(1))},
	}
	var done func()
	b.plain, done = target.plain()
	t.Cleanup(func() {
		b.clean()
		done()
	})
	return b
}

// base is the beginning of the agent's URLs.
func (target Target) base() string {
	if target.Config.Address == "" {
		return "http://embedded.invalid"
	}
	return target.Config.Address
}

// plain is an HTTP client that reaches the agent, and what ends it.
func (target Target) plain() (*http.Client, func()) {
	if h := target.Config.HTTPClient; h != nil {
		return h, func() {}
	}
	c := target.Config
	files := certfile.Client{CACert: c.CACert, Cert: c.ClientCert, Key: c.ClientKey, ServerName: c.TLSServerName}
	conf, err := files.Config()
	if err != nil {
		panic(err) // the client of the same settings says it first
	}
	transport := &http.Transport{TLSClientConfig: conf}
	return &http.Client{Transport: transport}, transport.CloseIdleConnections
}

func (b *bench) clean() {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for _, id := range b.children {
		if err := b.client.Purge(ctx, id); err != nil {
			b.Errorf("purge child: %v", err)
		}
	}
	for id := range b.parents {
		if err := b.client.Purge(ctx, id); err != nil {
			b.Errorf("purge parent: %v", err)
		}
	}
	b.client.Close()
}

// track makes the cleanup remove a parent or child.
func (b *bench) track(parent, child string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if parent != "" {
		b.parents[parent] = true
	}
	if child != "" {
		b.children = append(b.children, child)
	}
}

func (b *bench) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 4*limit) // of a whole test
	b.Cleanup(cancel)
	return ctx
}

// dispatch starts script as a new run of the test's shape and returns the child.
func (b *bench) dispatch(script string) string {
	b.Helper()
	_, child, err := b.client.DispatchRun(b.context(), b.shape, b.attempt(script))
	if err != nil {
		b.Fatalf("dispatch: %v", err)
	}
	b.track(b.shape.ParentJob(), child)
	return child
}

// attempt is a dispatch with a run ID of its own.
func (b *bench) attempt(script string) nomad.Dispatch {
	b.mu.Lock()
	b.next++
	n := b.next
	b.mu.Unlock()
	id := run.NewID(time.Now().Add(time.Duration(n) * time.Second))
	a := run.Attempt{RunID: id, Number: 1}
	return nomad.Dispatch{Token: a.Token(), RunID: id, Attempt: 1, Payload: []byte(script)}
}

// eventually polls until ok, and fails when what ok says of now has not changed for long.
func (b *bench) eventually(what string, ok func(ctx context.Context) (bool, string)) {
	b.Helper()
	ctx := b.context()
	last, moved := "", time.Now()
	for ; ctx.Err() == nil && time.Since(moved) < limit; time.Sleep(50 * time.Millisecond) {
		done, now := ok(ctx)
		if done {
			return
		}
		if now != "" && now != last {
			last, moved = now, time.Now()
		}
	}
	b.Fatalf("waited %v for %s; last: %s", time.Since(moved).Round(time.Second), what, last)
}

// workers waits until the child has n workers that all satisfy ok, and returns them.
func (b *bench) workers(child string, n int, what string, ok func(run.Worker) bool) []run.Worker {
	b.Helper()
	var got []run.Worker
	b.eventually(what, func(ctx context.Context) (bool, string) {
		workers, state, err := b.client.Workers(ctx, child)
		if err != nil {
			return false, err.Error()
		}
		got = workers
		for _, w := range workers {
			if !ok(w) {
				return false, fmt.Sprintf("%+v %+v", state, w)
			}
		}
		return len(workers) == n, fmt.Sprintf("%d workers, job %+v", len(workers), state)
	})
	return got
}

// ended waits for the end of a child with one worker.
func (b *bench) ended(child string) run.Worker {
	b.Helper()
	return b.workers(child, 1, "the end", func(w run.Worker) bool { return w.State.Terminal() && w.Exited })[0]
}

// text returns everything that a worker printed to stream, once it has ended.
func (b *bench) text(alloc, stream string) string {
	b.Helper()
	var out bytes.Buffer
	err := b.client.TailLog(b.context(), alloc, stream, nomad.Cursor{}, false, func(c nomad.LogChunk) error {
		out.Write(c.Data)
		return nil
	})
	if err != nil {
		b.Fatalf("read %s of %s: %v", stream, alloc, err)
	}
	return out.String()
}

// printed waits until a worker's stream contains want and returns all of it.
func (b *bench) printed(alloc, stream, want string) string {
	b.Helper()
	text := ""
	b.eventually(fmt.Sprintf("%q on %s", want, stream), func(ctx context.Context) (bool, string) {
		var out bytes.Buffer
		err := b.client.TailLog(ctx, alloc, stream, nomad.Cursor{}, false, func(c nomad.LogChunk) error {
			out.Write(c.Data)
			return nil
		})
		if err != nil {
			return false, err.Error()
		}
		text = out.String()
		return strings.Contains(text, want), fmt.Sprintf("%q", text)
	})
	return text
}

// reply is one raw answer.
type reply struct {
	Code   int
	Body   string
	Header http.Header
}

// raw makes a call without the client, to see codes and texts. body is sent as JSON unless nil.
func (b *bench) raw(method, path string, body any) reply {
	b.Helper()
	return b.rawAs(b.target.Config.Token, method, path, body)
}

// operator makes a call that the console's token need not be allowed.
func (b *bench) operator(method, path string, body any) reply {
	b.Helper()
	return b.rawAs(cmp.Or(b.target.OperatorToken, b.target.Config.Token), method, path, body)
}

func (b *bench) rawAs(token, method, path string, body any) reply {
	b.Helper()
	resp := b.call(token, method, path, body)
	defer func() { _ = resp.Body.Close() }() // read-only
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		b.Fatalf("%s %s: %v", method, path, err)
	}
	return reply{resp.StatusCode, string(text), resp.Header}
}

// stream reads lines of an answer without an end until enough.
func (b *bench) stream(path string, enough func(line []byte) bool) {
	b.Helper()
	resp := b.call(b.target.Config.Token, "GET", path, nil)
	defer func() { _ = resp.Body.Close() }() // read-only
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 32<<20)
	for lines.Scan() {
		if enough(lines.Bytes()) {
			return
		}
	}
	b.Fatalf("%s ended before what was expected: %v", path, lines.Err())
}

func (b *bench) call(token, method, path string, body any) *http.Response {
	b.Helper()
	var payload io.Reader
	if body != nil {
		js, err := json.Marshal(body)
		if err != nil {
			b.Fatal(err)
		}
		payload = bytes.NewReader(js)
	}
	cfg := b.target.Config
	u, err := url.Parse(b.target.base() + path)
	if err != nil {
		b.Fatal(err)
	}
	q := u.Query()
	if cfg.Namespace != "" && !q.Has("namespace") {
		q.Set("namespace", cfg.Namespace)
	}
	if cfg.Region != "" {
		q.Set("region", cfg.Region)
	}
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(b.context(), method, u.String(), payload)
	if err != nil {
		b.Fatal(err)
	}
	if token != "" {
		req.Header.Set("X-Nomad-Token", token)
	}
	resp, err := b.plain.Do(req)
	if err != nil {
		b.Fatalf("%s %s: %v", method, path, err)
	}
	return resp
}

// decode reads a reply's JSON.
func decode[T any](b *bench, r reply) T {
	b.Helper()
	var v T
	if r.Code != http.StatusOK {
		b.Fatalf("answer %d: %s", r.Code, r.Body)
	}
	if err := json.Unmarshal([]byte(r.Body), &v); err != nil {
		b.Fatalf("decode %.200q: %v", r.Body, err)
	}
	return v
}

// expect asserts code and text of a refusal.
func (b *bench) expect(r reply, code int, text string) {
	b.Helper()
	if r.Code != code || !strings.Contains(r.Body, text) {
		b.Errorf("answer is %d %q, want %d and a text with %q", r.Code, r.Body, code, text)
	}
}
