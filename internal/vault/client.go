package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/cotrain/cotrain/internal/certfile"
	"github.com/cotrain/cotrain/internal/fault"
)

const (
	// callTimeout bounds a call; a standby server forwards it to the active one.
	callTimeout = 20 * time.Second
	// maxAnswer bounds an answer; Vault itself takes no request above 32 MiB, and a setting is far smaller.
	maxAnswer = 2 << 20
	// maxValue bounds a field, in bytes.
	maxValue = 64 << 10
)

// Config is how Vault is reached. Files are in PEM.
type Config struct {
	Address    string // https://vault.example:8200
	Namespace  string // of Vault Enterprise or OpenBao, "" for the root
	CACert     string // "" for what the machine trusts
	ClientCert string // for authentication by certificate, and where Vault asks for one
	ClientKey  string
	ServerName string // "" for the address's
	Auth       Auth
	Logger     *slog.Logger // nil discards

	// Transport replaces the network, for tests.
	Transport http.RoundTripper
}

// Client reads secrets. It is safe for concurrent use.
type Client struct {
	cfg Config
	api *api.Client
	log *slog.Logger

	logging sync.Mutex // one log-in at a time

	mu      sync.Mutex
	token   token
	mounts  map[string]mount     // by their path
	secrets map[string]*followed // by path
}

// New returns a client without calling Vault.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.Address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("vault.address (VAULT_ADDR) %q: %w: give https://vault.example:8200", cfg.Address, fault.ErrInvalid)
	}
	if err := cfg.Auth.check(cfg); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	transport := cfg.Transport
	if transport == nil {
		if transport, err = network(cfg); err != nil {
			return nil, err
		}
	}
	c := &Client{cfg: cfg, log: cfg.Logger, mounts: map[string]mount{}, secrets: map[string]*followed{}}
	// Retries are ours: a call must not outlast its caller.
	c.api, err = api.NewClient(&api.Config{
		Address: cfg.Address, HttpClient: &http.Client{Transport: bounded{transport}}, Timeout: callTimeout, MaxRetries: 0,
		CheckRetry: func(context.Context, *http.Response, error) (bool, error) { return false, nil },
	})
	if err != nil {
		return nil, fmt.Errorf("configure the client of Vault: %w", err)
	}
	// What its library took from the environment is not what the settings say.
	c.api.ClearToken()
	if c.api.ClearNamespace(); cfg.Namespace != "" {
		c.api.SetNamespace(cfg.Namespace)
	}
	return c, nil
}

func network(cfg Config) (http.RoundTripper, error) {
	files := certfile.Client{CACert: cfg.CACert, Cert: cfg.ClientCert, Key: cfg.ClientKey, ServerName: cfg.ServerName}
	conf, err := files.Config()
	if err != nil {
		return nil, fmt.Errorf("vault.ca_cert (VAULT_CACERT), vault.client_cert and vault.client_key: %w: %w", fault.ErrInvalid, err)
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSClientConfig: conf,
		TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: callTimeout, IdleConnTimeout: time.Minute,
	}, nil
}

// bounded cuts answers off, so a wrong server cannot fill the memory.
type bounded struct{ next http.RoundTripper }

var errTooLong = errors.New("the answer is longer than any secret that a setting could be")

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &cut{resp.Body, maxAnswer}
	return resp, nil
}

type cut struct {
	io.ReadCloser
	left int64
}

func (c *cut) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTooLong
	}
	n, err := c.ReadCloser.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// Close gives back a token that this client got by a log-in, which ends the leases it made. It is best effort: they end by
// themselves.
func (c *Client) Close(ctx context.Context) {
	c.mu.Lock()
	t := c.token
	c.token = token{}
	c.mu.Unlock()
	if t.text == "" || c.cfg.Auth.Method == ByToken {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := c.as(t.text).Auth().Token().RevokeSelfWithContext(ctx, ""); err != nil {
		c.log.Debug("the token was not given back", "err", err)
	}
}

// as is a client with a token.
func (c *Client) as(token string) *api.Client {
	with := c.api.WithNamespace(c.cfg.Namespace)
	with.SetToken(token)
	return with
}
