package probe

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cotrain/cotrain/internal/measure"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is for what should not take long on a busy machine.
const patienceOfTests = time.Minute

// cluster is nodes of one process.
type cluster struct {
	t     *testing.T
	nodes []measure.Participant
	spec  measure.Spec
	token string

	mu      sync.Mutex
	peers   map[string]string // who has come
	intakes map[string]*measure.Intake
	lines   map[string]int
}

func newCluster(t *testing.T, sites ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, token: "secret", peers: map[string]string{}, intakes: map[string]*measure.Intake{}, lines: map[string]int{}}
	for i, s := range sites {
		c.nodes = append(c.nodes, measure.Participant{ID: fmt.Sprintf("node-%d", i), Name: fmt.Sprintf("n%d", i), Site: s})
	}
	c.spec = measure.SpecOf(c.nodes)
	c.spec.Limits = measure.Limits{Wait: 2 * time.Second, Duration: 50 * time.Millisecond, Bytes: 8 << 20, Streams: 2, Linger: time.Second, Total: patienceOfTests}
	for _, n := range c.nodes {
		c.intakes[n.ID] = measure.NewIntake(n, c.nodes, time.Unix(1, 0))
	}
	return c
}

// address reserves one for a node, and announces it.
func (c *cluster) announce(i int, host string) string {
	c.t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		c.t.Skipf("no address %s here: %v", host, err)
	}
	address := l.Addr().String()
	_ = l.Close() // the node listens there next
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peers[c.nodes[i].ID] = address
	return address
}

func (c *cluster) config(i int, listen string) Config {
	id := c.nodes[i].ID
	return Config{
		Self: id, Token: c.token, Spec: c.spec, Listen: listen,
		Peers: func() (map[string]string, error) { c.mu.Lock(); defer c.mu.Unlock(); return maps.Clone(c.peers), nil },
		Facts: func(context.Context) measure.Facts { return measure.Facts{MemoryTotal: 7} },
		Print: func(l measure.Line) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.intakes[id].Take([]byte(measure.Prefix + jsonOf(l) + "\n"))
			c.lines[id]++
		},
	}
}

// run has some nodes measure, and returns what each says of each. It waits for all.
func (c *cluster) run(host string, which ...int) (errs []error) {
	c.t.Helper()
	errs = make([]error, len(c.nodes))
	var all sync.WaitGroup
	configs := map[int]Config{}
	for _, i := range which {
		configs[i] = c.config(i, c.announce(i, host))
	}
	for i, cfg := range configs {
		all.Go(func() { errs[i] = Run(c.t.Context(), cfg) })
	}
	all.Wait()
	return errs
}

func (c *cluster) link(from, to int) measure.Link {
	return c.intakes[c.nodes[from].ID].Report.Links[c.nodes[to].ID]
}

func TestEveryNodeMeasuresEveryOther(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, "a", "a", "a", "b", "b")
			for i, err := range c.run(host, 0, 1, 2, 3, 4) {
				if err != nil || !c.intakes[c.nodes[i].ID].Ended || c.intakes[c.nodes[i].ID].Report.Facts.MemoryTotal != 7 {
					t.Errorf("node %d: %v", i, err)
				}
			}
			for i := range c.nodes {
				for j := range c.nodes {
					l := c.link(i, j)
					if i != j && (l.Error != "" || l.RoundTrip <= 0 || l.RoundTripMin > l.RoundTrip || l.Bandwidth < 1e6 || l.BandwidthError != "" || l.Offset.Abs() > 5*time.Second || slices.Contains(l.Closed, measure.EphemeralPort)) {
						t.Errorf("%d to %d: %+v", i, j, l)
					}
				}
			}
		})
	}
}

func TestANodeAloneMeasuresItself(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a")
	if err := c.run("127.0.0.1", 0)[0]; err != nil || !c.intakes["node-0"].Ended {
		t.Errorf("%v", err)
	}
}

func TestOthersAreMeasuredWithoutThoseThatDoNotCome(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "a", "a", "a")
	c.spec.Limits.Wait = 300 * time.Millisecond
	c.run("127.0.0.1", 0, 2, 3)
	for _, i := range []int{0, 2, 3} {
		if l := c.link(i, 1); !strings.Contains(l.Error, "did not come within 300ms") || l.Bandwidth != 0 {
			t.Errorf("to the missing one: %+v", l)
		}
		for _, j := range []int{0, 2, 3} {
			if l := c.link(i, j); i != j && (l.Bandwidth == 0 || l.Error != "") {
				t.Errorf("%d to %d: %+v", i, j, l)
			}
		}
	}
}

// TestAPeerThatSaysNothingCostsOnlyItself has a node that accepts connections and never answers, as one whose process is stuck.
func TestAPeerThatSaysNothingCostsOnlyItself(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "a", "a")
	var held []net.Conn
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			held = append(held, conn)
		}
	})
	c.peers["node-1"] = l.Addr().String()
	c.run("127.0.0.1", 0, 2)
	_ = l.Close()
	accepting.Wait()
	closeAll(held)
	if a, b := c.link(0, 1), c.link(2, 1); a.Error != "no answer in time" || b.Error != "no answer in time" {
		t.Errorf("to the silent one: %+v, %+v", a, b)
	}
	if a, b := c.link(0, 2), c.link(2, 0); a.Bandwidth == 0 || b.Bandwidth == 0 {
		t.Errorf("between the others: %+v, %+v", a, b)
	}
}

// TestAPeerThatDiesIsGivenUp ends a node when it has reported its links, before it takes its turns.
func TestAPeerThatDiesIsGivenUp(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "a", "a", "a")
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	victim := c.config(1, c.announce(1, "127.0.0.1"))
	print := victim.Print
	victim.Print = func(l measure.Line) {
		print(l)
		if l.Kind == measure.BandwidthLine {
			kill()
		}
	}
	var all sync.WaitGroup
	all.Go(func() {
		if err := Run(ctx, victim); err == nil {
			t.Error("the killed one is done")
		}
	})
	c.run("127.0.0.1", 0, 2, 3)
	all.Wait()
	broken := 0
	for _, i := range []int{0, 2, 3} {
		if !c.intakes[c.nodes[i].ID].Ended {
			t.Errorf("node %d is not done", i)
		}
		if l := c.link(i, 1); l.BandwidthError != "" {
			broken++
		}
		for _, j := range []int{0, 2, 3} {
			if l := c.link(i, j); i != j && l.Bandwidth == 0 {
				t.Errorf("%d to %d: %+v", i, j, l)
			}
		}
	}
	if broken == 0 {
		t.Error("nobody missed it")
	}
}

func TestAStrangerGetsNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "a")
	ctx, cancel := context.WithCancel(t.Context())
	address := c.announce(0, "127.0.0.1")
	var all sync.WaitGroup
	all.Go(func() { _ = Run(ctx, c.config(0, address)) })
	defer all.Wait()
	defer cancel()
	dial := func() net.Conn {
		t.Helper()
		for until := time.Now().Add(patienceOfTests); ; time.Sleep(10 * time.Millisecond) {
			conn, err := net.Dial("tcp", address)
			if err == nil {
				return conn
			}
			if time.Now().After(until) {
				t.Fatal(err)
			}
		}
	}
	for name, say := range map[string]func(net.Conn) error{
		"another token": func(conn net.Conn) error {
			return introduce(conn, "wrong", "node-0", hello{Kind: kindContact, From: "node-1"})
		},
		"another node": func(conn net.Conn) error {
			return introduce(conn, c.token, "node-1", hello{Kind: kindContact, From: "node-1"})
		},
		"not a member": func(conn net.Conn) error {
			return introduce(conn, c.token, "node-0", hello{Kind: kindContact, From: "x"})
		},
		"a request of web": func(conn net.Conn) error {
			_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n\r\n")
			return err
		},
	} {
		conn := dial()
		err := say(conn)
		if err == nil {
			_ = conn.SetDeadline(time.Now().Add(patienceOfTests))
			_, err = readFrame(conn)
		}
		if err == nil {
			t.Errorf("%s: it is answered", name)
		}
		_ = conn.Close()
	}
	// Whoever does not wait for the server's proof has none of its own to send that fits.
	conn := dial()
	_, _ = io.WriteString(conn, magic+strings.Repeat("x", nonceSize)+strings.Repeat("y", 32)+"\x00\x02{}")
	_ = conn.SetDeadline(time.Now().Add(patienceOfTests))
	if rest, err := io.ReadAll(conn); len(rest) > nonceSize+32 {
		t.Errorf("a forged proof gets %d bytes, %v", len(rest), err)
	}
	_ = conn.Close()
	if c.intakes["node-0"].Ignored > 0 {
		t.Error("it printed what does not count")
	}
}

func TestRateLeavesTheStartOut(t *testing.T) {
	t.Parallel()
	var samples []sample
	start := time.Unix(0, 0)
	for ms := 0; ms <= 400; ms++ {
		bytes := int64(0)
		if ms > 100 { // nothing came before
			bytes = int64(ms-100) * 10
		}
		if ms > 200 { // and then ten times as fast
			bytes = 1000 + int64(ms-200)*100
		}
		samples = append(samples, sample{start.Add(time.Duration(ms) * time.Millisecond), bytes})
	}
	if got := rate(samples); got < 5e5 || got > 8e5 {
		t.Errorf("%g bit/s", got)
	}
	if got := rate(samples[:1]); got != 0 {
		t.Errorf("of nothing: %g", got)
	}
}
