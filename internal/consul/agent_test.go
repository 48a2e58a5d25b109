package consul_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/consul"
	"github.com/cotrain/cotrain/internal/consul/consultest"
)

// onAgents runs a test with the agent in this process, and with a real one where CONSUL_HTTP_ADDR is set.
func onAgents(t *testing.T, test func(t *testing.T, address string)) {
	t.Helper()
	t.Run("fake", func(t *testing.T) {
		t.Parallel()
		test(t, consultest.New(t, "dc1").Address())
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		address := os.Getenv("CONSUL_HTTP_ADDR")
		if address == "" {
			t.Skip("CONSUL_HTTP_ADDR is not set")
		}
		test(t, address)
	})
}

// call makes a request that this package does not make, and returns its status.
func call(t *testing.T, address, method, path string, body ...string) int {
	t.Helper()
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	r, err := http.NewRequestWithContext(t.Context(), method, address+path, strings.NewReader(strings.Join(body, "")))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Consul-Token", os.Getenv("CONSUL_HTTP_TOKEN"))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	return resp.StatusCode
}

func TestAnAgentFindsWhatIsRegistered(t *testing.T) {
	t.Parallel()
	onAgents(t, func(t *testing.T, address string) {
		c := newClient(t, consul.Config{Address: address, Token: os.Getenv("CONSUL_HTTP_TOKEN")})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		port := l.Addr().(*net.TCPAddr).Port
		id := "cotrain-test-" + strconv.Itoa(port)
		w := watching(t, c, consul.Query{Service: id, Tag: "metrics"})
		w.becomes("", "")
		stop := background(t, func(ctx context.Context) {
			_ = c.Keep(ctx, consul.Registration{ID: id, Name: id, Address: "127.0.0.1", Port: port, Tags: []string{"metrics"}, Check: consul.Check{TCP: l.Addr().String()}}, func(error) {})
		})
		appears := func(n int) {
			t.Helper()
			eventually(t, strconv.Itoa(n)+" are found", func() bool {
				w.mu.Lock()
				defer w.mu.Unlock()
				return len(w.last.Instances) == n && w.last.Err == nil && (n == 0 || w.last.Instances[0].Port == port)
			})
		}
		appears(1)
		call(t, address, http.MethodPut, "/v1/agent/service/deregister/"+id)
		eventually(t, "it is registered again", func() bool { return call(t, address, http.MethodGet, "/v1/agent/service/"+id) == http.StatusOK })
		appears(1)
		stop()
		appears(0)
	})
}

func TestAnAgentLocks(t *testing.T) {
	t.Parallel()
	onAgents(t, func(t *testing.T, address string) {
		c := newClient(t, consul.Config{Address: address, Token: os.Getenv("CONSUL_HTTP_TOKEN")})
		key := "cotrain-test/" + strconv.FormatInt(time.Now().UnixNano(), 36)
		has := make(chan string, 2)
		lock := func(name string) (stop func()) {
			return background(t, func(ctx context.Context) {
				_ = c.Lock(ctx, key, name, func(held context.Context) error { has <- name; <-held.Done(); return nil })
			})
		}
		stop := lock("a")
		if got := <-has; got != "a" {
			t.Fatalf("%s has it", got)
		}
		stopB := lock("b")
		stop()
		if got := <-has; got != "b" {
			t.Fatalf("%s has it", got)
		}
		stopB()
		if address == os.Getenv("CONSUL_HTTP_ADDR") {
			call(t, address, http.MethodDelete, "/v1/kv/"+key)
		}
	})
}

func TestAnAgentKnowsCoordinates(t *testing.T) {
	t.Parallel()
	onAgents(t, func(t *testing.T, address string) {
		c := newClient(t, consul.Config{Address: address, Token: os.Getenv("CONSUL_HTTP_TOKEN")})
		if m, err := c.Coordinates(t.Context()); err != nil || m.Err != nil || m.At.IsZero() {
			t.Errorf("%+v, %v", m, err)
		}
	})
}
