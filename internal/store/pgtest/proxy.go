package pgtest

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Proxy is the network between clients and a server, for a test to break.
type Proxy struct {
	t           testing.TB
	url         string
	socket      string // where clients connect to
	server      string // the server's socket
	connections sync.WaitGroup

	mu       sync.Mutex
	changed  sync.Cond // mode, or a link's closed
	mode     mode
	listener *net.UnixListener
	links    map[*link]bool
	trap     *trap
}

type mode int

const (
	forwards mode = iota
	hangs
	refuses
)

// link is a client's connection with the one to the server that stands for it. Its fields are guarded by Proxy.mu.
type link struct {
	client, server net.Conn
	closed         bool
	trap           *trap // springs at the server's next bytes
}

// trap cuts the link whose client is the next to send a certain message.
type trap struct {
	matches func(message []byte) bool
	before  bool
	sprung  chan struct{}
}

// proxies is how many this process has made: they are beside the server's socket, so that they go with it.
var proxies atomic.Int64

// NewProxy starts a proxy in front of a database of [URL] or [Start]. It ends with the test.
func NewProxy(t testing.TB, address string) *Proxy {
	t.Helper()
	config, err := pgx.ParseConfig(address)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	port := config.Port + uint16(proxies.Add(1))
	query := u.Query()
	query.Set("port", strconv.Itoa(int(port)))
	u.RawQuery = query.Encode()

	p := &Proxy{t: t, url: u.String(), links: map[*link]bool{}}
	p.changed.L = &p.mu
	_, p.server = pgconn.NetworkAddress(config.Host, config.Port)
	_, p.socket = pgconn.NetworkAddress(config.Host, port)
	p.Restore()
	t.Cleanup(func() {
		p.Cut()
		p.connections.Wait()
		if err := os.Remove(p.socket); err != nil && !errors.Is(err, fs.ErrNotExist) { // the server has removed its folder
			t.Error(err)
		}
	})
	return p
}

// URL is the database's address by way of the proxy.
func (p *Proxy) URL() string { return p.url }

// Cut closes all connections and refuses new ones, until Restore.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.setMode(refuses)
	if p.listener != nil {
		_ = p.listener.Close() // nothing of it is left to lose
		p.listener = nil
	}
	for l := range p.links {
		p.close(l)
	}
}

// Hang keeps connections and accepts new ones, but forwards nothing, until Restore or Cut.
func (p *Proxy) Hang() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.setMode(hangs)
	p.listen()
}

// Restore undoes Cut and Hang. What was sent during a Hang is forwarded now.
func (p *Proxy) Restore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.setMode(forwards)
	p.listen()
}

// CutBefore cuts the connection whose client is the next to send a matching message, which is not forwarded. A message is as
// on the wire: a byte for its type, four of length, the body. The channel is closed when that has happened.
func (p *Proxy) CutBefore(matches func(message []byte) bool) <-chan struct{} {
	return p.setTrap(&trap{matches: matches, before: true, sprung: make(chan struct{})})
}

// CutAfter is CutBefore, but the message is forwarded, and the connection cut when the server has begun to answer: the client gets
// nothing of the answer.
func (p *Proxy) CutAfter(matches func(message []byte) bool) <-chan struct{} {
	return p.setTrap(&trap{matches: matches, sprung: make(chan struct{})})
}

func (p *Proxy) setTrap(t *trap) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trap = t
	return t.sprung
}

func (p *Proxy) setMode(m mode) {
	p.mode = m
	p.changed.Broadcast()
}

// listen accepts connections if it does not yet.
func (p *Proxy) listen() {
	if p.listener != nil {
		return
	}
	_ = os.Remove(p.socket) // of before a Cut
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: p.socket})
	if err != nil {
		p.t.Errorf("proxy: %v", err)
		return
	}
	listener.SetUnlinkOnClose(false) // a socket that nobody listens to refuses, as a host without a server does
	p.listener = listener
	p.connections.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			p.connections.Go(func() { p.serve(&link{client: client}) })
		}
	})
}

// serve forwards messages until one side has closed its connection, or ours is cut.
func (p *Proxy) serve(l *link) {
	p.mu.Lock()
	p.links[l] = true
	if p.mode == refuses {
		p.close(l)
	}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.close(l)
		delete(p.links, l)
	}()
	if !p.pass(l) {
		return
	}
	server, err := new(net.Dialer).DialContext(context.Background(), "unix", p.server)
	if err != nil {
		return // the client is closed, too
	}
	p.mu.Lock()
	l.server = server
	if l.closed {
		_ = server.Close()
	}
	p.mu.Unlock()
	p.connections.Go(func() { p.forwardAnswers(l) })
	p.forwardMessages(l)
}

// close must be called with the lock.
func (p *Proxy) close(l *link) {
	l.closed = true
	_ = l.client.Close() // it is cut anyway
	if l.server != nil {
		_ = l.server.Close()
	}
	p.changed.Broadcast()
}

// pass waits until the proxy forwards, and reports whether the link is still there.
func (p *Proxy) pass(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.mode == hangs && !l.closed {
		p.changed.Wait()
	}
	return !l.closed
}

func (p *Proxy) forwardAnswers(l *link) {
	buf := make([]byte, 32<<10)
	for {
		n, err := l.server.Read(buf)
		if err == nil && p.pass(l) && !p.lose(l) {
			_, err = l.client.Write(buf[:n])
		}
		if err != nil {
			p.mu.Lock()
			p.close(l)
			p.mu.Unlock()
			return
		}
	}
}

// lose springs the link's trap, if its message was forwarded.
func (p *Proxy) lose(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.trap == nil {
		return false
	}
	p.close(l)
	close(l.trap.sprung)
	l.trap = nil
	return true
}

func (p *Proxy) forwardMessages(l *link) {
	r := bufio.NewReader(l.client)
	for begun := false; ; begun = true {
		message, err := readMessage(r, begun)
		if err != nil || !p.pass(l) || begun && p.trapped(l, message) {
			return
		}
		if _, err := l.server.Write(message); err != nil {
			return
		}
	}
}

// trapped compares a message with what the trap is for, and reports whether the link was cut before it.
func (p *Proxy) trapped(l *link, message []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.trap
	if t == nil || !t.matches(message) {
		return false
	}
	p.trap = nil
	if t.before {
		p.close(l)
		close(t.sprung)
	} else {
		l.trap = t
	}
	return t.before
}

// readMessage reads what a client sends: a length and a body, after a byte for the type unless it begins the session.
func readMessage(r *bufio.Reader, begun bool) ([]byte, error) {
	start := 0
	if begun {
		start = 1
	}
	head, err := r.Peek(start + 4)
	if err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[start:])
	if size < 4 {
		return nil, fmt.Errorf("a message of %d bytes", size)
	}
	message := make([]byte, start+int(size))
	_, err = io.ReadFull(r, message)
	return message, err
}
