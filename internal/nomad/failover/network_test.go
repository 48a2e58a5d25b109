package failover_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/cotrain/cotrain/internal/nomad/failover"
)

// network is one in memory, so that waits take no time in a synctest bubble.
type network struct {
	t     *testing.T
	mu    sync.Mutex
	hosts map[string]*host
}

// host answers as handler says. It can be killed, started again, hang, or be cut off.
type host struct {
	*http.ServeMux
	conns chan net.Conn
	quit  chan struct{}
	stop  func()
	cut   bool // nothing arrives, nobody refuses
	mu    sync.Mutex
	asked []string
	mute  chan struct{} // closed when the host answers again; nil if it does
}

func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	h := n.hosts[strings.TrimSuffix(address, ":80")]
	n.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	if h == nil {
		return nil, refused
	}
	if h.cut {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	client, server := net.Pipe()
	select {
	case h.conns <- server:
		return client, nil
	case <-h.quit:
		return nil, refused
	}
}

func (h *host) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.quit:
		return nil, net.ErrClosed
	}
}

func (h *host) Close() error   { return nil }
func (h *host) Addr() net.Addr { return &net.TCPAddr{} }

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	h.mu.Lock()
	h.asked = append(h.asked, r.Method+" "+r.URL.Path)
	mute := h.mute
	h.mu.Unlock()
	if mute != nil {
		select {
		case <-mute:
		case <-r.Context().Done():
			return
		}
	}
	h.ServeMux.ServeHTTP(w, r)
}

// count is how often a request was made.
func (h *host) count(request string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, a := range h.asked {
		if a == request {
			n++
		}
	}
	return n
}

// hang makes the host take requests and not answer, until the returned function.
func (h *host) hang() (answer func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	mute := make(chan struct{})
	h.mute = mute
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		close(mute)
		h.mute = nil
	}
}

// start starts a host that is a server of Nomad with a leader, and answers its name elsewhere.
func (n *network) start(name string) *host {
	h := &host{ServeMux: http.NewServeMux(), conns: make(chan net.Conn), quit: make(chan struct{})}
	h.HandleFunc("GET "+failover.LeaderPath, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `"10.0.0.1:4647"`) })
	h.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
	server := &http.Server{Handler: h}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(h); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			n.t.Error(err)
		}
	})
	h.stop = sync.OnceFunc(func() {
		n.mu.Lock()
		if n.hosts[name] == h {
			delete(n.hosts, name)
		}
		n.mu.Unlock()
		close(h.quit)
		_ = server.Close()
		serving.Wait()
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[name] = h
	return h
}

// cluster is some servers, and clients of them.
type cluster struct {
	*network
	t      *testing.T
	set    *failover.Set
	list   []failover.Server
	calls  *http.Client
	stream *http.Client
	raw    *http.Transport
}

// bubble runs a test with servers that are started, by name, and others.
func bubble(t *testing.T, names []string, test func(t *testing.T, c *cluster, hosts ...*host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{network: &network{t: t, hosts: map[string]*host{}}, t: t}
		var hosts []*host
		for _, name := range names {
			hosts = append(hosts, c.start(name))
			c.list = append(c.list, failover.Server{Address: "http://" + name})
		}
		c.set = failover.New(func() ([]failover.Server, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if len(c.list) == 0 {
				return nil, errors.New("nobody knows any")
			}
			return c.list, nil
		}, slog.New(slog.DiscardHandler))
		c.raw = &http.Transport{DialContext: c.dial}
		c.calls, c.stream = &http.Client{Transport: c.set.Transport(c.raw, false)}, &http.Client{Transport: c.set.Transport(c.raw, true)}
		test(t, c, hosts...)
		c.raw.CloseIdleConnections()
		for _, h := range hosts {
			h.stop()
		}
		c.mu.Lock()
		left := c.hosts
		c.mu.Unlock()
		for _, h := range left {
			h.stop()
		}
	})
}

// ask returns who answered, or the error.
func (c *cluster) ask(method, path string) (string, error) {
	r, err := http.NewRequestWithContext(c.t.Context(), method, "http://nomad.invalid"+path, strings.NewReader("body"))
	if err != nil {
		c.t.Fatal(err)
	}
	resp, err := c.calls.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func (c *cluster) wants(method, path, want string) {
	c.t.Helper()
	if got, err := c.ask(method, path); err != nil || got != want {
		c.t.Errorf("%s %s: answered by %q, %v; want %s", method, path, got, err, want)
	}
}

// keep looks at the servers until the test ends.
func (c *cluster) keep() (stop func()) {
	ctx, cancel := context.WithCancel(c.t.Context())
	var running sync.WaitGroup
	running.Go(func() { c.set.Keep(ctx, c.raw) })
	return func() { cancel(); running.Wait() }
}
