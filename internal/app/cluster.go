package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/cluster"
	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/consul"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/vault"
)

// findFor is how long Consul is asked for Nomad's servers before a command gives up.
const findFor = 10 * time.Second

// clients reach what the settings name, without a console.
type clients struct {
	cfg     config.Config // with what is in Vault
	nomad   *nomad.Client
	vault   *vault.Client  // nil for none
	consul  *consul.Client // nil for none
	closing []func()
}

func (c *clients) close() {
	for _, f := range c.closing {
		f()
	}
}

// openClients makes the clients. close them also after an error.
func openClients(ctx context.Context, cfg config.Config) (*clients, error) {
	c := &clients{}
	if cfg.Dev {
		return c, fault.Usage("--dev brings its own agent, which needs no rights", "unset COTRAIN_DEV, and set NOMAD_ADDR")
	}
	log := slog.New(slog.DiscardHandler)
	cfg, secrets, err := readSecrets(ctx, cfg, log)
	if err != nil {
		return c, err
	}
	if c.cfg, c.vault = cfg, secrets.vault; c.vault == nil && cfg.Vault.Address != "" {
		if c.vault, err = vaultClient(cfg.Vault, log); err != nil {
			return c, err
		}
	}
	if c.vault != nil {
		c.closing = append(c.closing, func() { c.vault.Close(context.WithoutCancel(ctx)) })
	}
	if cfg.Consul.Address != "" {
		if c.consul, err = consulClient(cfg.Consul, log); err != nil {
			return c, err
		}
		c.closing = append(c.closing, c.consul.Close)
	}
	mount := cmp.Or(cfg.Storage.Mount, cfg.Storage.Path)
	if mount != "" {
		if mount, err = filepath.Abs(mount); err != nil {
			return c, err
		}
	}
	n := nomadConfig(cfg, jobSettings(cfg, mount, ""), log)
	if service, tag, scheme, ok := cfg.Nomad.Discovery(); ok {
		d := newDiscovery(service, tag, scheme)
		c.find(ctx, d)
		n.Servers = d.servers
	}
	if c.nomad, err = nomad.New(n); err != nil {
		return c, err
	}
	c.closing = append(c.closing, c.nomad.Close)
	return c, nil
}

// find looks Nomad's servers up once. Without any, each call to Nomad says why.
func (c *clients) find(ctx context.Context, d *discovery) {
	ctx, cancel := context.WithTimeout(ctx, findFor)
	defer cancel()
	_ = c.consul.Watch(ctx, d.query, func(f consul.Found) { // ends when ctx does
		if err := d.take(f); err != nil && f.Err == nil {
			return // it may be about to register itself
		}
		cancel()
	})
}

type vaultSystem interface {
	cluster.Vault
	cluster.CheckedVault
}

type consulSystem interface {
	cluster.Consul
	cluster.CheckedConsul
}

// systems are Vault and Consul, nil for none: a nil client in an interface would not be nil.
func (c *clients) systems() (v vaultSystem, k consulSystem) {
	if c.vault != nil {
		v = c.vault
	}
	if c.consul != nil {
		k = c.consul
	}
	return v, k
}

// SetupCluster sets up what the console needs in Nomad, Vault and Consul, and reports whether all of it is there.
func SetupCluster(ctx context.Context, cfg config.Config, o config.ClusterSetup) (report fmt.Stringer, ok bool, err error) {
	c, err := openClients(ctx, cfg)
	defer c.close()
	if err != nil {
		return nil, false, err
	}
	options, err := c.setupOptions(o)
	if err != nil {
		return nil, false, err
	}
	if err := c.bootstrap(ctx, o); err != nil {
		return nil, false, err
	}
	v, k := c.systems()
	r, err := cluster.Setup(ctx, c.nomad, v, k, options)
	if err != nil {
		return nil, false, err
	}
	return r, r.OK(), nil
}

// bootstrap has the management token that was asked for, made if there is none. It is in its file before Nomad knows it, so that it is
// lost neither with Nomad's answer nor with this process: run again, the command goes on with that file.
func (c *clients) bootstrap(ctx context.Context, o config.ClusterSetup) error {
	if o.Bootstrap == "" {
		return nil
	}
	token, err := cluster.ReadToken(o.Bootstrap)
	if err != nil {
		return err
	}
	given := token != ""
	switch {
	case given && o.DryRun:
		c.nomad.SetToken(token)
		return nil
	case o.DryRun:
		return fault.Usage("a dry run does not bootstrap, and "+o.Bootstrap+" holds no token", "bootstrap first, or give the management token as NOMAD_TOKEN")
	case !given:
		token = cluster.NewSecret()
		if err := cluster.WriteFirstToken(o.Bootstrap, token); err != nil {
			return err
		}
	}
	first, err := c.nomad.Bootstrap(ctx, token)
	c.nomad.SetToken(token)
	switch {
	case first || given: // what else is wrong, setup says
		return nil
	case errors.Is(err, fault.ErrUnavailable) || ctx.Err() != nil:
		return cluster.Plain(err) // it may have arrived
	}
	_ = os.Remove(o.Bootstrap) // nothing knows this token
	if err != nil {
		return cluster.Plain(err)
	}
	return fault.New(fault.ErrNomadDenied, "Nomad's ACLs were bootstrapped before, and "+o.Bootstrap+" did not hold the management token.",
		"Give that as nomad.token (NOMAD_TOKEN), without --bootstrap. Where it is lost: https://developer.hashicorp.com/nomad/docs/secure/acl/bootstrap tells how to reset it.")
}

// maxPolicyName is Nomad's limit (structs.validPolicyName).
const maxPolicyName = 128

func (c *clients) setupOptions(o config.ClusterSetup) (cluster.Options, error) {
	for _, name := range slices.Concat([]string{c.cfg.Nomad.Namespace, o.ConsoleNamespace}, o.Namespaces) {
		if !access.CheckNamespace(name) || len("cotrain-console-"+name) > maxPolicyName {
			return cluster.Options{}, fault.Usage("Nomad can have no namespace "+fault.Quote(name)+" with policies of its own", "give a name of up to 112 letters, digits and dashes: --namespace, --console-namespace, NOMAD_NAMESPACE")
		}
	}
	address, _, _ := strings.Cut(c.cfg.Nomad.Address, ",")
	out := cluster.Options{
		DryRun: o.DryRun, Move: o.Move, Namespace: c.cfg.Nomad.Namespace, Namespaces: o.Namespaces, NodePool: c.cfg.Job.NodePool, StorageVolume: c.cfg.Storage.Volume,
		ConsulService: c.cfg.Consul.Service, ServiceJob: o.ServiceJob, ConsoleSpace: o.ConsoleNamespace, ConsulMethod: o.ConsulAuthMethod,
		KVMount: o.KVMount, JWTMount: o.JWTMount, NomadMount: o.NomadMount, DatabaseMount: o.DatabaseMount, NomadEngine: o.NomadEngine, JWKSURL: o.JWKSURL,
		NomadForVault: address, TokenFile: o.TokenFile, TokenInVault: o.TokenInVault, PrintToken: o.PrintToken,
	}
	for _, pool := range []string{"default", "all"} {
		if out.NodePool == pool {
			out.NodePool = "" // always there
		}
	}
	needsKeys := c.vault != nil || c.consul != nil && o.ServiceJob
	if out.JWKSURL == "" && needsKeys {
		if !strings.HasPrefix(address, "http") {
			return out, fault.Usage("Vault and Consul need Nomad's public keys, and nomad.address has no URL for them", "give it with --jwks-url: https://nomad.example:4646/.well-known/jwks.json")
		}
		out.JWKSURL = strings.TrimSuffix(address, "/") + "/.well-known/jwks.json"
	}
	if name := cmp.Or(o.JWKSCACert, c.cfg.Nomad.CACert); name != "" && strings.HasPrefix(out.JWKSURL, "https:") {
		pem, err := os.ReadFile(name) // #nosec G304 -- the operator names it
		if err != nil {
			return out, fault.New(fault.ErrInvalid, fmt.Sprintf("The authority in %s cannot be read: %v.", name, errors.Unwrap(err)), "Correct --jwks-ca-cert or nomad.ca_cert (NOMAD_CACERT).")
		}
		out.JWKSCA = string(pem)
	}
	if out.NomadEngine && c.vault == nil {
		return out, fault.Usage("--nomad-engine needs Vault, and vault.address is not set", "set VAULT_ADDR")
	}
	return out, nil
}

// CheckCluster checks what the console needs with its own settings.
func CheckCluster(ctx context.Context, cfg config.Config, o config.ClusterCheck) (report fmt.Stringer, ok bool, err error) {
	c, err := openClients(ctx, cfg)
	defer c.close()
	if err != nil {
		return nil, false, err
	}
	cfg = c.cfg
	site := cluster.Site{
		Namespace: cfg.Nomad.Namespace, Namespaces: o.Namespaces, Plain: plain(cfg.Nomad.Address), VaultPlain: plain(cfg.Vault.Address), SkipVerify: cfg.Nomad.SkipVerify,
		StorageVolume: cfg.Storage.Volume, Service: cfg.Consul.Service, VaultRole: cfg.Job.VaultRole, KVMount: o.KVMount, JWTMount: o.JWTMount,
	}
	if service, tag, scheme, ok := cfg.Nomad.Discovery(); ok {
		site.Discovers, site.DiscoversTag, site.Plain = service, tag, scheme == "http"
	}
	v, k := c.systems()
	f, err := cluster.Check(ctx, c.nomad, v, k, site)
	if err != nil {
		return nil, false, err
	}
	return f, f.Count(cluster.Fail) == 0, nil
}

// plain reports whether one of several addresses is reached without TLS, beyond this machine.
func plain(addresses string) bool {
	for address := range strings.SplitSeq(addresses, ",") {
		u, err := url.Parse(strings.TrimSpace(address))
		if err != nil || u.Scheme != "http" {
			continue
		}
		if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return true
		}
	}
	return false
}
