package config

import (
	"net"
	"net/url"
	"strings"
)

// Consul finds Nomad's servers, registers the console and knows how far nodes are from each other. The variables are those of
// Consul's own command line. Unused with Dev.
type Consul struct {
	// Address is a URL, http, https or unix, or HOST:PORT (consul.address, CONSUL_HTTP_ADDR); "" without Consul.
	Address string
	// Token is an ACL token (CONSUL_HTTP_TOKEN, or the content of the file named by consul.token_file or
	// CONSUL_HTTP_TOKEN_FILE).
	Token Secret
	// Datacenters are asked, the preferred one first (consul.datacenters, COTRAIN_CONSUL_DATACENTERS); none for all that the agent
	// knows, its own first.
	Datacenters []string
	// CACert is the file with the authority that signed the agent's certificate (consul.ca_cert, CONSUL_CACERT).
	CACert string
	// ClientCert and ClientKey are files for mutual TLS (consul.client_cert, CONSUL_CLIENT_CERT; consul.client_key,
	// CONSUL_CLIENT_KEY).
	ClientCert string
	ClientKey  string
	// TLSServerName is the name that the agent's certificate must have, when it is not that of the address
	// (consul.tls_server_name, CONSUL_TLS_SERVER_NAME).
	TLSServerName string
	// Namespace and Partition are of Consul Enterprise, "" otherwise (consul.namespace, CONSUL_NAMESPACE; consul.partition,
	// CONSUL_PARTITION).
	Namespace string
	Partition string
	// Service is the name under which the console registers itself, "" for not at all (consul.service, COTRAIN_CONSUL_SERVICE).
	Service string
	// ServiceAddress is where others reach the console, HOST:PORT (consul.service_address, COTRAIN_CONSUL_SERVICE_ADDRESS); "" for
	// the address that it listens at, or that of the agent's machine where it listens at all.
	ServiceAddress string
	// ServiceTags are given to the service (consul.service_tags, COTRAIN_CONSUL_SERVICE_TAGS).
	ServiceTags []string
}

func consulSettings() []Setting {
	return []Setting{
		{Key: "consul.address", Env: "CONSUL_HTTP_ADDR", Help: "URL of a Consul agent's API; unset: without Consul",
			set: put(func(c *Config) *string { return &c.Consul.Address }, consulAddress)},
		{Key: "consul.token", Env: "CONSUL_HTTP_TOKEN", Help: "ACL token for it", Secret: true,
			set: putSecret(func(c *Config) *Secret { return &c.Consul.Token })},
		{Key: "consul.datacenters", Env: "COTRAIN_CONSUL_DATACENTERS", Help: "Consul datacenters to ask, the preferred one first; unset: all, the agent's own first", kind: list,
			set: put(func(c *Config) *[]string { return &c.Consul.Datacenters }, items(word))},
		{Key: "consul.ca_cert", Env: "CONSUL_CACERT", Help: "file with the authority of the agent's certificate",
			set: put(func(c *Config) *string { return &c.Consul.CACert }, line)},
		{Key: "consul.client_cert", Env: "CONSUL_CLIENT_CERT", Help: "file with the certificate for mutual TLS",
			set: put(func(c *Config) *string { return &c.Consul.ClientCert }, line)},
		{Key: "consul.client_key", Env: "CONSUL_CLIENT_KEY", Help: "file with the key for mutual TLS",
			set: put(func(c *Config) *string { return &c.Consul.ClientKey }, line)},
		{Key: "consul.tls_server_name", Env: "CONSUL_TLS_SERVER_NAME", Help: "name in the agent's certificate",
			set: put(func(c *Config) *string { return &c.Consul.TLSServerName }, word)},
		{Key: "consul.namespace", Env: "CONSUL_NAMESPACE", Help: "namespace, of Consul Enterprise",
			set: put(func(c *Config) *string { return &c.Consul.Namespace }, word)},
		{Key: "consul.partition", Env: "CONSUL_PARTITION", Help: "admin partition, of Consul Enterprise",
			set: put(func(c *Config) *string { return &c.Consul.Partition }, word)},
		{Key: "consul.service", Env: "COTRAIN_CONSUL_SERVICE", Help: "name under which the console registers itself, such as cotrain; unset: not at all",
			set: put(func(c *Config) *string { return &c.Consul.Service }, serviceName)},
		{Key: "consul.service_address", Env: "COTRAIN_CONSUL_SERVICE_ADDRESS", Help: "host:port at which others reach it there; unset: where it listens",
			set: put(func(c *Config) *string { return &c.Consul.ServiceAddress }, reachable)},
		{Key: "consul.service_tags", Env: "COTRAIN_CONSUL_SERVICE_TAGS", Help: "tags of that service, for a scraper, Traefik or Fabio; one with a comma needs the file", kind: list,
			set: put(func(c *Config) *[]string { return &c.Consul.ServiceTags }, items(line))},
	}
}

// consulAddress accepts http://host:port, https://host:port, unix:///path and host:port.
func consulAddress(address string) *problem {
	if strings.Contains(address, "@") {
		return &problem{rule: "must not hold a user or password", fix: "use CONSUL_HTTP_TOKEN for the token", hide: true}
	}
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	switch {
	case err == nil && u.Scheme == "unix" && strings.HasPrefix(u.Path, "/"):
		return nil
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return broken("must be host:port, or a URL that begins with http://, https:// or unix:/// and ends after the port", "use http://127.0.0.1:8500, for example")
	}
	return nil
}

// serviceName accepts what can stand in a name of DNS, as Consul serves it.
func serviceName(s string) *problem {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
	if s == "" || len(s) > 63 || strings.Trim(s, letters) != "" || strings.Trim(s, "-") != s {
		return broken("must be letters, digits and dashes, at most 63", "use cotrain, for example")
	}
	return nil
}

// reachable accepts host:port of another machine's view.
func reachable(s string) *problem {
	if p := listenAddress(s); p != nil {
		return p
	}
	host, port, _ := net.SplitHostPort(s)
	if ip := net.ParseIP(host); host == "" || port == "0" || ip != nil && ip.IsUnspecified() {
		return broken("must name a host and a port that others can reach", "use 10.0.0.5:8080, for example")
	}
	return nil
}

// Discovery is what to look up in Consul if Address is consul://SERVICE?tag=TAG&scheme=SCHEME: the tag is http unless given, the
// scheme http or https.
func (n Nomad) Discovery() (service, tag, scheme string, ok bool) {
	u, err := url.Parse(n.Address)
	if err != nil || u.Scheme != "consul" {
		return "", "", "", false
	}
	tag, scheme = "http", "http"
	if q := u.Query(); q.Has("tag") {
		tag = q.Get("tag")
	}
	if s := u.Query().Get("scheme"); s != "" {
		scheme = s
	}
	return u.Host, tag, scheme, true
}

// lookUp accepts consul://SERVICE?tag=TAG&scheme=SCHEME.
func lookUp(u *url.URL) *problem {
	q, err := url.ParseQuery(u.RawQuery)
	scheme := q.Get("scheme")
	q.Del("tag")
	q.Del("scheme")
	if err != nil || serviceName(u.Host) != nil || strings.Trim(u.Path, "/") != "" || u.Fragment != "" || len(q) > 0 || scheme != "" && scheme != "http" && scheme != "https" {
		return broken("must be consul://SERVICE, perhaps with ?tag=TAG and scheme=http or https", "use consul://nomad?tag=http&scheme=https, for example")
	}
	return nil
}

// consul checks what concerns several settings.
func (l *loader) consul() {
	c := l.cfg.Consul
	l.pair("consul.client_cert", "CONSUL_CLIENT_CERT", c.ClientCert, "consul.client_key", "CONSUL_CLIENT_KEY", c.ClientKey)
	for _, key := range []string{"consul.ca_cert", "consul.client_cert", "consul.client_key"} {
		l.readable(key)
	}
	if c.Address != "" {
		return
	}
	_, _, _, finds := l.cfg.Nomad.Discovery()
	for _, need := range []struct {
		key  string
		need bool
	}{{"nomad.address", finds}, {"consul.service", c.Service != ""}} {
		if need.need {
			o := l.from[need.key]
			l.fail(need.key, o.source, o.value, "needs consul.address (CONSUL_HTTP_ADDR)", "set it, to http://127.0.0.1:8500 for the Consul agent of this machine")
		}
	}
}

// pair checks that a certificate comes with its key.
func (l *loader) pair(certKey, certEnv, cert, keyKey, keyEnv, key string) {
	if (cert == "") == (key == "") {
		return
	}
	have, lack, env := certKey, keyKey, keyEnv
	if cert == "" {
		have, lack, env = keyKey, certKey, certEnv
	}
	o := l.from[have]
	l.fail(have, o.source, o.value, "needs "+lack+" ("+env+")", "set both or neither")
}
