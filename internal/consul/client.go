package consul

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/hashicorp/consul/api"

	"github.com/cotrain/cotrain/internal/certfile"
	"github.com/cotrain/cotrain/internal/fault"
)

const (
	// callTimeout bounds a call that does not block.
	callTimeout = 10 * time.Second
	dialTimeout = 5 * time.Second
	// maxWait is the longest pause before a failed call is repeated.
	maxWait = 15 * time.Second
)

// Config configures [New].
type Config struct {
	Address       string // http://..., https://..., unix:///... or host:port
	Token         string // "" without ACLs
	Datacenters   []string
	CACert        string // PEM files; "" for the system's roots and no client certificate
	ClientCert    string
	ClientKey     string
	TLSServerName string
	Namespace     string // of Consul Enterprise, "" otherwise; likewise Partition
	Partition     string
	Logger        *slog.Logger // nil discards
}

// Client talks to one Consul agent, safe for concurrent use.
type Client struct {
	api       *api.Client
	cfg       Config
	log       *slog.Logger
	transport *http.Transport
}

// New returns a client without calling Consul.
func New(cfg Config) (*Client, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	scheme, host, ok := strings.Cut(cfg.Address, "://")
	if !ok {
		scheme, host = "http", cfg.Address
	}
	host = strings.TrimSuffix(host, "/")
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSHandshakeTimeout: dialTimeout, IdleConnTimeout: time.Minute,
	}
	switch scheme {
	case "http", "https":
	case "unix":
		path := host
		t.Proxy, scheme, host = nil, "http", "unix.invalid"
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dialer.DialContext(ctx, "unix", path) }
	default:
		host = ""
	}
	if host == "" {
		return nil, fmt.Errorf("address of Consul %q: %w: give http://host:8500, https://host:8501, unix:///path or host:port", cfg.Address, fault.ErrInvalid)
	}
	files := certfile.Client{CACert: cfg.CACert, Cert: cfg.ClientCert, Key: cfg.ClientKey, ServerName: cfg.TLSServerName}
	var err error
	if t.TLSClientConfig, err = files.Config(); err != nil {
		return nil, fmt.Errorf("TLS to Consul: %w: %w", fault.ErrInvalid, err)
	}
	c := &Client{cfg: cfg, log: cfg.Logger, transport: t}
	c.api, err = api.NewClient(&api.Config{
		Scheme: scheme, Address: host, Token: cfg.Token, Namespace: cfg.Namespace, Partition: cfg.Partition, HttpClient: &http.Client{Transport: t},
	})
	if err != nil {
		return nil, fmt.Errorf("configure the Consul client: %w", err)
	}
	return c, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Datacenters returns those of the settings, or all that the agent knows, its own first and then as it orders them, by distance.
func (c *Client) Datacenters(ctx context.Context) ([]string, error) {
	if len(c.cfg.Datacenters) > 0 {
		return c.cfg.Datacenters, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	q := (&api.QueryOptions{}).WithContext(ctx)
	var names []string
	_, err := c.api.Raw().Query("/v1/catalog/datacenters", &names, q)
	if err == nil && len(names) == 0 {
		err = errors.New("it knows no datacenter")
	}
	if err != nil {
		return nil, c.classify("list Consul's datacenters", err)
	}
	var self struct{ Config struct{ Datacenter string } }
	if _, err := c.api.Raw().Query("/v1/agent/self", &self, q); err != nil {
		c.log.Debug("the agent does not say where it is; its nearest datacenter is taken for its own", "err", err) // it needs a right
	}
	if i := slices.Index(names, self.Config.Datacenter); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, self.Config.Datacenter)
	}
	return names, nil
}

// classify makes err a fault that says what an operator can do; nil stays nil.
func (c *Client) classify(doing string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	at := c.cfg.Address
	var said api.StatusError
	what, fix := "", ""
	switch tlsSays, certificate := certfile.Problem(err); {
	case tlsSays != "" && certificate:
		what = fmt.Sprintf("The certificate of Consul at %s is not accepted: %s.", at, oneLine(tlsSays))
		fix = "Check consul.ca_cert (CONSUL_CACERT), consul.tls_server_name (CONSUL_TLS_SERVER_NAME), and that the certificate has not expired."
	case tlsSays != "":
		what = fmt.Sprintf("Consul at %s ended the TLS handshake: %s.", at, oneLine(tlsSays))
		fix = "Check consul.client_cert (CONSUL_CLIENT_CERT) and consul.client_key (CONSUL_CLIENT_KEY): Consul may ask for a certificate of its own authority."
	case !errors.As(err, &said):
		what = fmt.Sprintf("Consul at %s is not reachable: %s.", at, oneLine(cause(err)))
		fix = "Check consul.address (CONSUL_HTTP_ADDR), and that the agent runs."
	case strings.Contains(said.Body, "No cluster leader"):
		what = fmt.Sprintf("Consul at %s has no leader.", at)
		fix = "A majority of its servers must run and reach each other: see consul operator raft list-peers."
	case strings.Contains(said.Body, "No path to datacenter"):
		what = fmt.Sprintf("Consul at %s has no path to a datacenter: %s.", at, oneLine(said.Body))
		fix = "Check consul.datacenters (COTRAIN_CONSUL_DATACENTERS), and that its servers are joined: see consul members -wan."
	case said.Code == http.StatusForbidden || said.Code == http.StatusUnauthorized:
		what = fmt.Sprintf("Consul at %s refuses the console's token: %s.", at, oneLine(said.Body))
		fix = "Check consul.token (CONSUL_HTTP_TOKEN); docs/cluster.md lists the rights that it needs."
	case said.Code == http.StatusBadRequest && enterprise(said.Body):
		what = fmt.Sprintf("Consul at %s refuses a namespace or partition: %s.", at, oneLine(said.Body))
		fix = "Unset consul.namespace (CONSUL_NAMESPACE) and consul.partition (CONSUL_PARTITION) unless it is Consul Enterprise."
	default:
		what = fmt.Sprintf("Consul at %s answers %d: %s.", at, said.Code, oneLine(said.Body))
		fix = "Check that consul.address (CONSUL_HTTP_ADDR) is a Consul agent, and its log."
	}
	return fmt.Errorf("%s: %w", doing, fault.New(fault.ErrUnavailable, what, fix).Because(err))
}

// enterprise reports whether a text is about what the free edition does not have.
func enterprise(body string) bool {
	body = strings.ToLower(body)
	return strings.Contains(body, "namespace") || strings.Contains(body, "partition")
}

// cause is the innermost text that still says what failed.
func cause(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "it does not answer"
	}
	text := err.Error()
	if i := strings.Index(text, `": `); i >= 0 { // Get "http://...": dial tcp ...
		text = text[i+3:]
	}
	return text
}

// oneLine is text from outside, short and without control characters.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	return strings.TrimRight(fault.Clip(s, 300), ".")
}

// backOff returns waits with jitter between failed calls.
func backOff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = 250*time.Millisecond, maxWait
	b.Reset()
	return b
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
