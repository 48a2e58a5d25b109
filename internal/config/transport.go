package config

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// listenAddress accepts host:port with an IP address, localhost, or nothing for all addresses.
func listenAddress(address string) *problem {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return broken("must be host:port", "use 127.0.0.1:8080")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return broken("must end with a port from 0 to 65535", "use 127.0.0.1:8080")
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "localhost" && host != "" {
		return broken("must begin with an IP address of this machine, or localhost", "use 127.0.0.1:"+port+", or 0.0.0.0:"+port+" for the whole network")
	}
	return nil
}

// isLoopback reports whether a host, or a listening address, is reached from its own machine only.
func isLoopback(address string) bool {
	host := address
	if name, _, err := net.SplitHostPort(address); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

// publicPath is deliberately narrow: it stands in every link of every page.
var publicPath = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)

// setPublicURL accepts http:// or https://, a host, and a path.
func setPublicURL(c *Config, value any) *problem {
	text := strings.TrimSpace(value.(string))
	u, err := url.Parse(text)
	switch {
	case strings.Contains(text, "@"):
		return &problem{rule: "must not hold a user or password", fix: "remove what stands before the @", hide: true}
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || hostName(u.Hostname()) != nil || strings.HasSuffix(u.Host, ":"):
		return broken("must be a URL that begins with https:// or http:// and a host name", "use https://cotrain.example.com, for example")
	case u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(text, "?#"):
		return broken("must end after the path", "use "+u.Scheme+"://"+u.Host+u.Path)
	case !publicPath.MatchString(strings.TrimSuffix(u.EscapedPath(), "/")):
		return broken("must have a plain path, of letters, digits and -._~", "use "+u.Scheme+"://"+u.Host+"/cotrain, for example")
	}
	host := strings.TrimSuffix(strings.ToLower(u.Host), map[string]string{"http": ":80", "https": ":443"}[u.Scheme])
	c.PublicURL = u.Scheme + "://" + host + strings.TrimSuffix(u.Path, "/")
	return nil
}

var hostLabels = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// hostName accepts a host without a port.
func hostName(host string) *problem {
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || len(host) <= 253 && hostLabels.MatchString(host) {
		return nil
	}
	return broken("must be host names or addresses without a port", "use cotrain.example.com, for example")
}

// trustedAddress accepts an address or CIDR, but not everybody's.
func trustedAddress(text string) *problem {
	prefix, err := parsePrefix(text)
	if err != nil {
		return broken("must be addresses or CIDRs", "use 10.0.0.0/8, for example")
	}
	if prefix.Bits() == 0 {
		return broken("must not be every address: anybody could then pose as any client", "name the proxies alone")
	}
	return nil
}

func parsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	return prefix.Masked(), err
}

// transport checks how the console is reached as a whole.
func (l *loader) transport() {
	pairs := [][2]string{{"tls.cert", "tls.key"}, {"tls.key", "tls.cert"}, {"tls.redirect_listen", "public_url"}, {"tls.vault_names", "tls.vault"}, {"tls.vault_ttl", "tls.vault"}}
	if l.cfg.TLS.Vault == "" && !l.refused["tls.vault"] {
		pairs = append(pairs, [2]string{"tls.client_ca", "tls.cert"}, [2]string{"tls.redirect_listen", "tls.cert"})
	}
	for _, pair := range pairs {
		l.needs(pair[0], pair[1])
	}
	l.signed()
	for _, key := range []string{"tls.cert", "tls.key", "tls.client_ca"} {
		l.readable(key)
	}
	if l.cfg.Dev {
		l.devTransport()
		return
	}
	listen, public := l.from["listen"], l.from["public_url"]
	tls, proxied := l.cfg.TLS.On() || l.refused["tls.vault"] || l.refused["tls.cert"], len(l.cfg.Proxy.Trusted) > 0 || l.refused["proxy.trusted"]
	if network := !isLoopback(l.cfg.Listen); network {
		if public.source == "" && !l.refused["public_url"] {
			l.fail("listen", listen.source, listen.value, "is reached from the network, which needs public_url (COTRAIN_PUBLIC_URL)", "set it to where browsers find the console, https://cotrain.example.com for example")
		}
		if !tls && !proxied && !l.cfg.InsecureHTTP {
			l.fail("listen", listen.source, listen.value, "would carry passwords and tokens over the network in plain HTTP",
				"set tls.cert and tls.key, or tls.vault, or proxy.trusted to the proxy that ends TLS; insecure_http accepts the risk")
		}
	}
	if l.cfg.PublicURL == "" {
		return
	}
	u, err := url.Parse(l.cfg.PublicURL)
	switch {
	case err != nil: // checked as it was set
	case u.Scheme == "https" && !tls && !proxied:
		l.fail("public_url", public.source, public.value, "begins with https://, and nothing is known that ends TLS", "set tls.cert and tls.key, or tls.vault, or proxy.trusted to the addresses of the proxy that does")
	case u.Scheme == "http" && tls:
		l.fail("public_url", public.source, public.value, "begins with http://, while the web server has a certificate", "use https://"+u.Host+u.Path)
	case u.Scheme == "http" && !l.cfg.InsecureHTTP && !isLoopback(u.Hostname()):
		l.fail("public_url", public.source, public.value, "would have passwords and tokens sent in plain HTTP", "use https://"+u.Host+u.Path+"; insecure_http accepts the risk")
	}
}

// signed checks what Vault signs.
func (l *loader) signed() {
	t, o := &l.cfg.TLS, l.from["tls.vault"]
	if t.Vault == "" {
		return
	}
	if t.Cert != "" || t.Key != "" {
		l.fail("tls.vault", o.source, o.value, "is set, and so is tls.cert (COTRAIN_TLS_CERT)", "set one of them")
	}
	if l.cfg.Vault.Address == "" {
		l.fail("tls.vault", o.source, o.value, "needs vault.address (VAULT_ADDR)", "set it")
	}
	if len(t.VaultNames) > 0 {
		return
	}
	if u, err := url.Parse(l.cfg.PublicURL); err == nil && u.Hostname() != "" {
		t.VaultNames = append(t.VaultNames, u.Hostname())
	}
	for _, host := range l.cfg.Hosts {
		t.VaultNames = append(t.VaultNames, strings.Trim(host, "[]"))
	}
	if len(t.VaultNames) == 0 {
		l.fail("tls.vault", o.source, o.value, "needs a name for the certificate", "set tls.vault_names (COTRAIN_TLS_VAULT_NAMES), or public_url")
	}
}

// signPath accepts MOUNT/sign/ROLE.
func signPath(path string) *problem {
	if p := line(path); p != nil {
		return p
	}
	mount, role, ok := strings.Cut(path, "/sign/")
	if !ok || strings.Trim(mount, "/") != mount || mount == "" || role == "" || strings.Contains(role, "/") {
		return broken("must be of the form MOUNT/sign/ROLE: the certificate's key stays in the console", "use pki/sign/cotrain, for example")
	}
	return nil
}

func lastsAMinute(d time.Duration) *problem {
	if d < time.Minute {
		return broken("must be 1m or more", "use 72h, for example")
	}
	return nil
}

// needs refuses a setting without another.
func (l *loader) needs(key, other string) {
	o, set := l.from[key]
	if _, also := l.from[other]; !set || also || l.refused[other] {
		return
	}
	l.fail(key, o.source, o.value, "needs "+other+" (COTRAIN_"+strings.ToUpper(strings.ReplaceAll(other, ".", "_"))+")", "set both or neither")
}

// devTransport keeps a console without log-in to its machine. What would open it is left aside: it may be left over in a
// shell.
func (l *loader) devTransport() {
	if o := l.from["listen"]; !isLoopback(l.cfg.Listen) {
		_, port, _ := net.SplitHostPort(l.cfg.Listen)
		l.fail("listen", o.source, o.value, "must be a loopback address with --dev: there is no log-in, so anybody who reaches it could run commands on this machine",
			"use 127.0.0.1:"+port+" and an SSH tunnel to reach it from elsewhere, or start without --dev")
	}
	for _, key := range []string{"public_url", "hosts", "proxy.trusted", "insecure_http", "tls.redirect_listen"} {
		if o, set := l.from[key]; set {
			l.cfg.Notes = append(l.cfg.Notes, key+" ("+o.source+") has no effect with --dev, which answers to this machine only")
		}
	}
	l.cfg.PublicURL, l.cfg.Hosts, l.cfg.Proxy, l.cfg.InsecureHTTP, l.cfg.TLS.RedirectListen = "", nil, Proxy{}, false, ""
}
