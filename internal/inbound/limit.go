package inbound

import (
	"net"
	"net/netip"
	"sync"
)

// Limit bounds how many connections one client's network may have open at once; more are closed as they come, so that they
// take nobody else's place. Exempt addresses, such as a proxy's, are not counted.
func Limit(l net.Listener, most int, exempt func(netip.Addr) bool) net.Listener {
	return &limited{Listener: l, most: most, exempt: exempt, open: map[netip.Prefix]int{}}
}

type limited struct {
	net.Listener
	most   int
	exempt func(netip.Addr) bool
	mu     sync.Mutex
	open   map[netip.Prefix]int // by network, of those with any
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		ap, err := netip.ParseAddrPort(conn.RemoteAddr().String())
		client := ap.Addr().Unmap().WithZone("")
		if err != nil || l.exempt(client) {
			return conn, nil
		}
		network := Hop{Client: client}.Network()
		if !l.enter(network) {
			_ = conn.Close()
			continue
		}
		return &counted{Conn: conn, leave: sync.OnceFunc(func() { l.leave(network) })}, nil
	}
}

func (l *limited) enter(network netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[network] >= l.most {
		return false
	}
	l.open[network]++
	return true
}

func (l *limited) leave(network netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[network]--; l.open[network] == 0 {
		delete(l.open, network)
	}
}

type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}
