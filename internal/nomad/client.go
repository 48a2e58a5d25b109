package nomad

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/certfile"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad/failover"
	"github.com/cotrain/cotrain/internal/run"
)

const (
	// callTimeout bounds a call; Nomad itself forwards between servers for up to 10 s.
	callTimeout = 30 * time.Second
	dialTimeout = 10 * time.Second
	// maxList and maxAnswer bound the body of a call: a large cluster's list of nodes or allocations is some MiB, a job
	// with its scripts less than 1 MiB. The body is held while decoding.
	maxList   = 64 << 20
	maxAnswer = 4 << 20
	// maxConns bounds the connections for calls. With the log streams and the event stream it stays below a Nomad
	// agent's 100 per address (http_max_conns_per_client).
	maxConns = 24
	// DefaultLogStreams is the default of Config.LogStreams.
	DefaultLogStreams = 64
)

// Config configures [New].
type Config struct {
	// Address is http://..., https://... or unix://...; several are separated by commas, the preferred one first. Required unless
	// Servers or HTTPClient is set.
	Address string
	// Servers are those of Address where they change; see [failover.New].
	Servers       func() ([]failover.Server, error)
	Token         string // secret ID, "" without ACLs
	Namespace     string // "" is "default"
	Region        string // "" is the agent's
	CACert        string // PEM files; "" for the system's roots and no client certificate
	ClientCert    string
	ClientKey     string
	TLSServerName string
	SkipVerify    bool

	// HTTPClient reaches an agent in this process, else nil. It must not have a time-out, and use an [http.Transport].
	HTTPClient *http.Client
	// ConsulNames has nodes told with their names in Consul.
	ConsulNames bool
	// LogStreams is the most open log streams, 0 for [DefaultLogStreams]; beyond that they take turns.
	LogStreams int
	Job        JobSettings
	// JobFile, if not nil, is called when Job.File becomes unusable, with whether an earlier version is used instead,
	// and with nil when it is usable again.
	JobFile func(err error, earlier bool)
	Logger  *slog.Logger // nil discards
}

// Client talks to one Nomad region, safe for concurrent use.
type Client struct {
	cfg       Config
	calls     *api.Client // bounded answers
	streams   *api.Client // endless answers
	servers   *failover.Set
	looks     http.RoundTripper // by which servers are looked at
	transport []*http.Transport
	slots     *slots
	log       *slog.Logger
	file      jobFile
	watched   namespaces
	token     atomic.Pointer[string]

	mu       sync.Mutex
	parents  map[string]*parent // by job ID
	children map[string]child   // by parent job ID

	consulNames map[string]namedAt   // by node ID
	killLimits  map[string]killLimit // by node ID
}

const (
	logSilence    = 30 * time.Second       // a followed log has a heartbeat every second
	eventSilence  = 75 * time.Second       // the event stream has one every 30 s
	reconnect     = 10 * time.Second       // longest wait between attempts to follow events
	firstBusyWait = 200 * time.Millisecond // first wait when Nomad has no connection for a log
)

// New returns a client without calling Nomad.
func New(cfg Config) (*Client, error) {
	if cfg.Servers == nil {
		if cfg.Address == "" && cfg.HTTPClient != nil {
			cfg.Address = "http://embedded.invalid"
		}
		var err error
		if cfg.Servers, err = failover.Static(cfg.Address); err != nil {
			return nil, err
		}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.LogStreams <= 0 {
		cfg.LogStreams = DefaultLogStreams
	}
	if err := cfg.Job.check(); err != nil {
		return nil, err
	}
	if cfg.Job.File != "" {
		if _, err := readJobFile(cfg.Job.File); err != nil {
			return nil, err
		}
	}
	c := &Client{
		cfg: cfg, log: cfg.Logger, slots: newSlots(cfg.LogStreams, turn), parents: map[string]*parent{}, children: map[string]child{},
	}
	c.servers = failover.New(cfg.Servers, cfg.Logger)
	callHTTP, err := c.httpTransport(maxConns)
	if err != nil {
		return nil, err
	}
	streamHTTP, err := c.httpTransport(0) // bounded by slots and one event stream per Watch
	if err != nil {
		return nil, err
	}
	c.SetToken(cfg.Token)
	c.looks = callHTTP
	calls := boundedTransport{next: authorized{c, c.servers.Transport(callHTTP, false)}}
	if c.calls, err = api.NewClient(c.apiConfig(calls)); err != nil {
		return nil, fmt.Errorf("configure the Nomad client: %w", err)
	}
	if c.streams, err = api.NewClient(c.apiConfig(authorized{c, c.servers.Transport(streamHTTP, true)})); err != nil {
		return nil, fmt.Errorf("configure the Nomad client: %w", err)
	}
	return c, nil
}

// Servers reports what is known of each server, the preferred one first.
func (c *Client) Servers() []run.Server { return c.servers.States() }

// Close drops idle connections.
func (c *Client) Close() {
	for _, t := range c.transport {
		t.CloseIdleConnections()
	}
}

func (c *Client) apiConfig(t http.RoundTripper) *api.Config {
	return &api.Config{
		Address: "http://nomad.invalid", // the transport says where
		Region:  c.cfg.Region, Namespace: c.cfg.Namespace, HttpClient: &http.Client{Transport: t},
	}
}

// httpTransport returns one with at most conns connections to each server, 0 for no limit.
func (c *Client) httpTransport(conns int) (http.RoundTripper, error) {
	if c.cfg.HTTPClient != nil {
		if c.cfg.HTTPClient.Transport == nil {
			return http.DefaultTransport, nil
		}
		return c.cfg.HTTPClient.Transport, nil
	}
	// A host that is gone ends streams within half a minute.
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}
	t := &http.Transport{
		Proxy: func(r *http.Request) (*url.URL, error) {
			if _, is := failover.Socket(r.URL.Host); is {
				return nil, nil //nolint:nilnil // no proxy
			}
			return http.ProxyFromEnvironment(r)
		},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if path, ok := failover.Socket(address); ok {
				network, address = "unix", path
			}
			return dialer.DialContext(ctx, network, address)
		},
		ForceAttemptHTTP2: true, TLSHandshakeTimeout: dialTimeout,
		IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: maxConns, MaxConnsPerHost: conns,
	}
	files := certfile.Client{CACert: c.cfg.CACert, Cert: c.cfg.ClientCert, Key: c.cfg.ClientKey, ServerName: c.cfg.TLSServerName, SkipVerify: c.cfg.SkipVerify}
	var err error
	if t.TLSClientConfig, err = files.Config(); err != nil {
		return nil, fault.New(fault.ErrInvalid, fmt.Sprintf("TLS to Nomad cannot be set up: %v.", err),
			"Check nomad.ca_cert (NOMAD_CACERT), nomad.client_cert (NOMAD_CLIENT_CERT) and nomad.client_key (NOMAD_CLIENT_KEY).").Because(err)
	}
	c.transport = append(c.transport, t)
	return t, nil
}

// SetToken replaces the ACL token, from the next call on.
func (c *Client) SetToken(token string) { c.token.Store(&token) }

// authorized sends the token of the moment.
type authorized struct {
	c    *Client
	next http.RoundTripper
}

func (a authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	if token := *a.c.token.Load(); token != "" && r.Header.Get("X-Nomad-Token") == "" { // unless a call has its own
		r = r.Clone(r.Context())
		r.Header.Set("X-Nomad-Token", token)
	}
	return a.next.RoundTrip(r)
}

// boundedTransport cuts answers off, so a wrong server cannot fill the memory.
type boundedTransport struct{ next http.RoundTripper }

var errAnswerTooLong = errors.New("the answer is longer than any that Nomad gives")

func (b boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: maxBody(r.URL.Path)}
	return resp, nil
}

func maxBody(path string) int64 {
	for _, list := range []string{"/jobs", "/nodes", "/allocations", "/evaluations"} {
		if strings.HasSuffix(path, list) {
			return maxList
		}
	}
	return maxAnswer
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errAnswerTooLong
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// Info describes an agent.
type Info struct {
	Version string // "" if the token may not read it
	Name    string // likewise
	Leader  string // address of the region's leader
}

// Ping checks that Nomad answers, has a leader and accepts the token for our namespace. The error is
// [fault.ErrUnavailable], or [ErrDenied] for the token.
func (c *Client) Ping(ctx context.Context) (Info, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var info Info
	if _, err := c.calls.Raw().Query(failover.LeaderPath, &info.Leader, query(ctx)); err != nil {
		return info, classify("ask Nomad for its leader", err)
	}
	if info.Leader == "" {
		return info, fault.New(fault.ErrNomadUnreachable, "Nomad has no leader.", "A majority of its servers must run and reach each other: see nomad server members.")
	}
	q := query(ctx)
	q.Namespace, q.Prefix, q.PerPage = c.cfg.Namespace, parentPrefix, 1
	if _, _, err := list[api.JobListStub](c, "list jobs", "/v1/jobs", q); err != nil {
		return info, err
	}
	var self struct {
		Member struct{ Name string } `json:"member"`
		Config struct {
			Version struct{ Version, VersionPrerelease string }
		} `json:"config"`
	}
	_, err := c.calls.Raw().Query("/v1/agent/self", &self, query(ctx))
	switch err = classify("ask Nomad about its agent", err); {
	case errors.Is(err, ErrDenied): // agent:read shows much more than this, and the logs of agents
		members, err := c.Members(ctx)
		for _, m := range members {
			if m.Asked {
				info.Name, info.Version = m.Name, m.Version
			}
		}
		if errors.Is(err, ErrDenied) {
			err = nil
		}
		return info, err
	case err != nil:
		return info, err
	}
	info.Name, info.Version = self.Member.Name, self.Config.Version.Version
	if p := self.Config.Version.VersionPrerelease; p != "" {
		info.Version += "-" + p
	}
	return info, nil
}

// list bypasses the API client's methods, which sort, and panic on a null element. Null elements are dropped.
func list[T any](c *Client, doing, endpoint string, q *api.QueryOptions) ([]*T, *api.QueryMeta, error) {
	var out []*T
	meta, err := c.calls.Raw().Query(endpoint, &out, q)
	if err != nil {
		return nil, nil, c.ofNamespace(q.Namespace, classify(doing, err))
	}
	return slices.DeleteFunc(out, func(v *T) bool { return v == nil }), meta, nil
}

// query returns fresh options, since the API client writes into them.
func query(ctx context.Context) *api.QueryOptions {
	return (&api.QueryOptions{Params: map[string]string{}}).WithContext(ctx)
}

// namespace is that of a parent job or its child. Those of projects are watched from then on.
func (c *Client) namespace(jobID string) string {
	name := run.JobNamespace(jobID)
	if name == "" {
		return c.cfg.Namespace
	}
	c.watched.add(name)
	return name
}

// about returns options for reading what is about a job.
func (c *Client) about(ctx context.Context, jobID string) *api.QueryOptions {
	q := query(ctx)
	q.Namespace = c.namespace(jobID)
	return q
}

// change returns options for changing a job.
func (c *Client) change(ctx context.Context, jobID string) *api.WriteOptions {
	w := write(ctx)
	w.Namespace = c.namespace(jobID)
	return w
}

func write(ctx context.Context) *api.WriteOptions {
	return (&api.WriteOptions{}).WithContext(ctx)
}
