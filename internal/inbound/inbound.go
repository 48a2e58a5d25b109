package inbound

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Hop is how a request reached the console. The zero Hop is an unknown client over plain HTTP.
type Hop struct {
	Client  netip.Addr // without zone; the proxy's client where a trusted proxy handed the request on
	TLS     bool       // up to the console, or up to the trusted proxy
	Proxied bool       // came from a trusted proxy
	Base    string     // path below which the console is published: "/cotrain", or ""
}

type hopKey struct{}

// Of returns how the request of a context arrived, as [Front.Resolve] found out.
func Of(ctx context.Context) Hop {
	h, _ := ctx.Value(hopKey{}).(Hop)
	return h
}

// Network is what one client has at its disposal: an IPv4 address, or a /64 of IPv6.
func (h Hop) Network() netip.Prefix {
	bits := 32
	if h.Client.Is6() {
		bits = 64
	}
	p, _ := h.Client.Prefix(bits) // the zero Prefix for an unknown client
	return p
}

// Front is how the console is published. The zero Front is a console on loopback.
type Front struct {
	Public    *url.URL       // where browsers find it; nil on loopback only
	Hosts     []string       // other host names
	Proxies   []netip.Prefix // whose X-Forwarded headers are believed
	PlainHTTP bool           // takes plain HTTP from the network
}

// Base is the path below which the console is published, without a slash at the end.
func (f Front) Base() string {
	if f.Public == nil {
		return ""
	}
	return f.Public.Path
}

// IsPublic reports whether a Host names the public URL's host, on any port.
func (f Front) IsPublic(host string) bool {
	return f.Public != nil && strings.EqualFold(Hostname(host), f.Public.Hostname())
}

// Answers reports whether a Host is one of the console's names, on any port.
func (f Front) Answers(host string) bool {
	return f.IsPublic(host) || slices.ContainsFunc(f.Hosts, func(name string) bool { return strings.EqualFold(Hostname(host), Hostname(name)) })
}

// Hostname is a Host without its port, and an IPv6 address without brackets.
func Hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// Resolve finds out how each request arrived. Handlers behind it see the Host that the client asked for, and paths without
// the public URL's own, whether a proxy has removed that or not.
func (f Front) Resolve(next http.Handler) http.Handler {
	base := f.Base()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hop, host := f.resolve(r)
		r = r.WithContext(context.WithValue(r.Context(), hopKey{}, hop)) // a copy
		r.Host = host
		if base != "" && (r.URL.Path == base || strings.HasPrefix(r.URL.Path, base+"/")) {
			u := *r.URL
			u.Path, u.RawPath = strings.TrimPrefix(u.Path, base), strings.TrimPrefix(u.RawPath, base) // base needs no escapes
			if u.Path == "" {
				u.Path, u.RawPath = "/", ""
			}
			r.URL = &u
		}
		next.ServeHTTP(w, r)
	})
}

func (f Front) resolve(r *http.Request) (Hop, string) {
	hop := Hop{TLS: r.TLS != nil, Base: f.Base()}
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		hop.Client = ap.Addr().Unmap().WithZone("")
	}
	if !f.Trusts(hop.Client) {
		return hop, r.Host
	}
	host := r.Host
	if last := lastValue(r.Header, "X-Forwarded-Host"); last != "" {
		host = last
	}
	hop.Proxied = true
	hop.Client = f.client(hop.Client, r.Header.Values("X-Forwarded-For"))
	switch proto := lastValue(r.Header, "X-Forwarded-Proto"); {
	case proto != "":
		hop.TLS = strings.EqualFold(proto, "https") || strings.EqualFold(proto, "wss")
	case f.IsPublic(host): // a proxy that does not say how it was reached
		hop.TLS = f.Public.Scheme == "https"
	}
	return hop, host
}

// Trusts reports whether an address is a trusted proxy.
func (f Front) Trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(f.Proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// maxHops bounds how many proxies are looked through.
const maxHops = 16

// client follows the hops that proxies have noted from the nearest one back to the first that is not trusted: what stands
// before it may be forged.
func (f Front) client(addr netip.Addr, headers []string) netip.Addr {
	left := maxHops
	for _, header := range slices.Backward(headers) {
		for header != "" {
			if left--; left < 0 || !f.Trusts(addr) {
				return addr
			}
			hop := header
			if comma := strings.LastIndexByte(header, ','); comma >= 0 {
				hop, header = header[comma+1:], header[:comma]
			} else {
				header = ""
			}
			noted, ok := parseHop(hop)
			if !ok {
				return addr
			}
			addr = noted
		}
	}
	return addr
}

// parseHop reads an address, with or without port and brackets.
func parseHop(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		ap, portErr := netip.ParseAddrPort(s)
		addr, err = ap.Addr(), portErr
	}
	return addr.Unmap().WithZone(""), err == nil
}

// lastValue is what the nearest proxy said.
func lastValue(h http.Header, name string) string {
	values := h.Values(name)
	if len(values) == 0 {
		return ""
	}
	last := values[len(values)-1]
	return strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
}
