package consul_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cotrain/cotrain/internal/certfile/certtest"
	"github.com/cotrain/cotrain/internal/consul"
	"github.com/cotrain/cotrain/internal/consul/consultest"
	"github.com/cotrain/cotrain/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

func newClient(t *testing.T, cfg consul.Config) *consul.Client {
	t.Helper()
	c, err := consul.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// background runs a loop until the returned function, or the end of the test.
func background(t *testing.T, run func(ctx context.Context)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { run(ctx) })
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return stop
}

// watching returns what a watch tells, one after the other.
func watching(t *testing.T, c *consul.Client, q consul.Query) *told {
	t.Helper()
	w := &told{t: t, news: make(chan struct{}, 1)}
	background(t, func(ctx context.Context) {
		_ = c.Watch(ctx, q, func(f consul.Found) {
			w.mu.Lock()
			w.last = f
			w.mu.Unlock()
			select {
			case w.news <- struct{}{}:
			default:
			}
		})
	})
	return w
}

type told struct {
	t    *testing.T
	mu   sync.Mutex
	last consul.Found
	news chan struct{}
}

// becomes waits for instances, as node@datacenter, and an error that has a text, "" for none.
func (w *told) becomes(instances, problem string) {
	w.t.Helper()
	limit := time.After(patience)
	for {
		w.mu.Lock()
		got := w.last
		w.mu.Unlock()
		var names []string
		for _, i := range got.Instances {
			names = append(names, i.Node+"@"+i.Datacenter)
		}
		said := ""
		if got.Err != nil {
			said = fault.Of(got.Err).Text()
		}
		if strings.Join(names, " ") == instances && strings.Contains(said, problem) && (problem != "" || said == "") {
			return
		}
		select {
		case <-w.news:
		case <-limit:
			w.t.Fatalf("told %v and %q, want %q and %q", names, said, instances, problem)
		}
	}
}

var http4646 = consul.Query{Service: "nomad", Tag: "http"}

func server(node string, port int) consultest.Instance {
	return consultest.Instance{Node: node, Address: "10.0.0.1", Port: port, Tags: []string{"http"}}
}

func TestInstancesOfAllDatacentersAreFollowed(t *testing.T) {
	t.Parallel()
	s := consultest.New(t, "ams", "fra")
	s.SetService("ams", "nomad", server("b", 4646), server("a", 4646), consultest.Instance{Node: "x", Port: 4648, Tags: []string{"serf"}}, server("broken", 0))
	s.SetService("fra", "nomad", consultest.Instance{Node: "c", Port: 4646, Tags: []string{"http"}})
	w := watching(t, newClient(t, consul.Config{Address: s.Address()}), http4646)
	w.becomes("a@ams b@ams c@fra", "")
	if got := w.last.Instances; got[0].Address != "10.0.0.1" || got[0].Port != 4646 || got[2].Address != "192.0.2.1" {
		t.Errorf("they are %+v", got)
	}
	s.SetService("ams", "nomad", server("b", 4646))
	w.becomes("b@ams c@fra", "")
	s.ResetIndex()
	s.SetService("ams", "nomad")
	w.becomes("c@fra", "")
	s.SetService("ams", "nomad", server("a", 4646))
	w.becomes("a@ams c@fra", "")
	if n := s.Calls("GET /v1/health"); n > 40 {
		t.Errorf("it took %d queries", n)
	}
}

func TestTheAgentsOwnDatacenterIsFirst(t *testing.T) {
	t.Parallel()
	s := consultest.New(t, "ams", "fra", "lon")
	s.SetDatacenters("fra", "lon", "ams")
	got, err := newClient(t, consul.Config{Address: s.Address()}).Datacenters(t.Context())
	if err != nil || strings.Join(got, " ") != "ams fra lon" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestConfiguredDatacentersAreAskedInTheirOrder(t *testing.T) {
	t.Parallel()
	s := consultest.New(t, "ams", "fra", "lon")
	for _, dc := range []string{"ams", "fra", "lon"} {
		s.SetService(dc, "nomad", server("a", 4646))
	}
	w := watching(t, newClient(t, consul.Config{Address: s.Address(), Datacenters: []string{"lon", "ams"}}), http4646)
	w.becomes("a@lon a@ams", "")
}

func TestWhatWasKnownStaysKnown(t *testing.T) {
	t.Parallel()
	s := consultest.New(t, "ams", "fra")
	s.SetService("ams", "nomad", server("a", 4646))
	s.SetService("fra", "nomad", server("c", 4646))
	w := watching(t, newClient(t, consul.Config{Address: s.Address()}), http4646)
	w.becomes("a@ams c@fra", "")
	s.SetPath("fra", false)
	w.becomes("a@ams c@fra", "no path to a datacenter: No path to datacenter. Check consul.datacenters (COTRAIN_CONSUL_DATACENTERS)")
	s.SetService("ams", "nomad", server("b", 4646))
	w.becomes("b@ams c@fra", "no path")
	s.SetPath("fra", true)
	w.becomes("b@ams c@fra", "")
	s.SetLeader(false)
	w.becomes("b@ams c@fra", "has no leader. A majority")
	s.SetLeader(true)
	w.becomes("b@ams c@fra", "")
	s.Stop()
	w.becomes("b@ams c@fra", "is not reachable")
	s.Start()
	w.becomes("b@ams c@fra", "")
	s.SetToken("another")
	w.becomes("b@ams c@fra", "refuses the console's token: ACL not found. Check consul.token (CONSUL_HTTP_TOKEN)")
}

func TestWhatIsWrongWithConsulIsSaidWithItsSetting(t *testing.T) {
	t.Parallel()
	ca, other := certtest.New(t), certtest.New(t)
	folder := t.TempDir()
	caFile, otherFile := filepath.Join(folder, "ca.pem"), filepath.Join(folder, "other.pem")
	for path, pem := range map[string][]byte{caFile: ca.PEM, otherFile: other.PEM} {
		if err := os.WriteFile(path, pem, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overTLS := func(until time.Time, name string) string {
		pair := ca.Issue(until, name)
		cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewUnstartedServer(consultest.New(t, "ams"))
		s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		t.Cleanup(s.Close)
		return s.URL
	}
	good, expired, elsewhere := overTLS(time.Now().Add(time.Hour), "127.0.0.1"), overTLS(time.Now().Add(-time.Minute), "127.0.0.1"), overTLS(time.Now().Add(time.Hour), "consul.example.com")
	plain := consultest.New(t, "ams")
	guarded := consultest.New(t, "ams")
	guarded.SetToken("right")
	hiding := consultest.New(t, "ams")
	hiding.SetHides(true)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>log in</html>") }))
	t.Cleanup(page.Close)
	lost := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(lost.Close)
	for name, tc := range map[string]struct {
		cfg  consul.Config
		want string
	}{
		"nothing":                  {consul.Config{Address: good, CACert: caFile}, ""},
		"an address without URL":   {consul.Config{Address: strings.TrimPrefix(plain.Address(), "http://")}, ""},
		"the right token":          {consul.Config{Address: guarded.Address(), Token: "right"}, ""},
		"an unknown authority":     {consul.Config{Address: good, CACert: otherFile}, "Check consul.ca_cert (CONSUL_CACERT)"},
		"an expired certificate":   {consul.Config{Address: expired, CACert: caFile}, "has expired"},
		"another name":             {consul.Config{Address: elsewhere, CACert: caFile}, "consul.tls_server_name (CONSUL_TLS_SERVER_NAME)"},
		"the wrong token":          {consul.Config{Address: guarded.Address(), Token: "wrong"}, "Check consul.token (CONSUL_HTTP_TOKEN)"},
		"a token without rights":   {consul.Config{Address: hiding.Address()}, "hides the service nomad from the console's token. Give the token (consul.token, CONSUL_HTTP_TOKEN) service:read of nomad"},
		"nobody there":             {consul.Config{Address: "127.0.0.1:1"}, "connection refused. Check consul.address (CONSUL_HTTP_ADDR)"},
		"no such host":             {consul.Config{Address: "nowhere.invalid:8500"}, "Check consul.address (CONSUL_HTTP_ADDR)"},
		"another server":           {consul.Config{Address: page.URL}, "Check consul.address (CONSUL_HTTP_ADDR)"},
		"another API":              {consul.Config{Address: lost.URL}, "answers 404"},
		"an unknown datacenter":    {consul.Config{Address: plain.Address(), Datacenters: []string{"mars"}}, ""},
		"a namespace, for nothing": {consul.Config{Address: plain.Address(), Namespace: "ml"}, "Unset consul.namespace (CONSUL_NAMESPACE)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			watching(t, newClient(t, tc.cfg), http4646).becomes("", tc.want)
		})
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]consul.Config{
		"no address": {}, "a strange scheme": {Address: "ftp://consul"}, "an unreadable CA": {Address: "https://consul:8501", CACert: "/no/such/file"},
		"a certificate alone": {Address: "https://consul:8501", ClientCert: "x.pem"},
	} {
		if _, err := consul.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func TestTheConsoleStaysRegistered(t *testing.T) {
	t.Parallel()
	s := consultest.New(t, "ams")
	c := newClient(t, consul.Config{Address: s.Address()})
	var mu sync.Mutex
	var problem error
	r := consul.Registration{
		ID: "cotrain-a-8080", Name: "cotrain", Address: "10.0.0.5", Port: 8080, Tags: []string{"metrics", "urlprefix-/cotrain"}, Meta: map[string]string{"version": "1"},
		Check: consul.Check{URL: "https://10.0.0.5:8080/readyz", Host: "cotrain.example.com"},
	}
	stop := background(t, func(ctx context.Context) {
		_ = c.Keep(ctx, r, func(err error) { mu.Lock(); problem = err; mu.Unlock() })
	})
	is := func() bool { return s.Registered(r.ID) != nil }
	eventually(t, "it is registered", is)
	got := s.Registered(r.ID)
	check := got["Check"].(map[string]any)
	if fmt.Sprintln(got["Name"], got["Address"], got["Port"], got["Tags"]) != "cotrain 10.0.0.5 8080 [metrics urlprefix-/cotrain]\n" || check["HTTP"] != r.Check.URL || fmt.Sprint(check["Header"]) != "map[Host:[cotrain.example.com]]" || check["TLSSkipVerify"] != true {
		t.Errorf("it is %v", got)
	}
	s.Forget(r.ID)
	eventually(t, "it is registered after it was dropped", is)
	s.Stop()
	eventually(t, "it is told that Consul is away", func() bool { mu.Lock(); defer mu.Unlock(); return problem != nil })
	s.Start()
	eventually(t, "it is registered after the agent's restart", is)
	eventually(t, "it is told that all is well", func() bool { mu.Lock(); defer mu.Unlock(); return problem == nil })
	stop()
	if is() {
		t.Error("it is registered after the end")
	}
}

func TestALockIsHeldByOneAndLostWithItsSession(t *testing.T) {
	t.Parallel()
	s := consultest.New(t, "ams")
	c := newClient(t, consul.Config{Address: s.Address()})
	const key = "cotrain/leader"
	first, second := make(chan context.Context), make(chan struct{})
	ended := make(chan error, 1)
	release := background(t, func(ctx context.Context) {
		ended <- c.Lock(ctx, key, "a", func(held context.Context) error {
			first <- held
			<-held.Done()
			return context.Cause(held)
		})
	})
	held := <-first
	background(t, func(ctx context.Context) {
		_ = c.Lock(ctx, key, "b", func(held context.Context) error { close(second); <-held.Done(); return nil })
	})
	eventually(t, "the other waits", func() bool { return s.Calls("PUT /v1/session/create") == 2 })
	select {
	case <-second:
		t.Fatal("two have it")
	default:
	}
	if held.Err() != nil {
		t.Error("it was lost for no reason")
	}
	release() // without lock-delay
	<-second
	if err := <-ended; err == nil {
		t.Error("the first does not know that it ended")
	}
}

func TestALostLockEndsItsWork(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		lose func(*consultest.Server)
		want string
	}{
		"its session ended":   {(*consultest.Server).Expire, "lock in Consul was lost"},
		"its key was deleted": {func(s *consultest.Server) { s.Delete("k") }, "another has it, or nobody"},
		"Consul is away":      {(*consultest.Server).Stop, "Consul at http://"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := consultest.New(t, "ams")
			c := newClient(t, consul.Config{Address: s.Address()})
			got, ended := make(chan struct{}), make(chan error, 1)
			background(t, func(ctx context.Context) {
				ended <- c.Lock(ctx, "k", "a", func(held context.Context) error { close(got); <-held.Done(); return context.Cause(held) })
			})
			<-got
			tc.lose(s)
			if err := <-ended; err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}
