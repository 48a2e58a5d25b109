package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cotrain/cotrain/internal/measure"
)

// lookEvery is how often a node looks who else has come.
const lookEvery = 250 * time.Millisecond

// Config is what one node knows.
type Config struct {
	Self   string // ID of the node
	Token  string
	Spec   measure.Spec
	Listen string // address of the port that Nomad reserved
	// Peers are the addresses, by node, of those that have come so far.
	Peers func() (map[string]string, error)
	// Facts measures the node itself.
	Facts func(ctx context.Context) measure.Facts
	// Print prints a line; it may be called at once from several places.
	Print func(measure.Line)
}

// node is one in a measurement.
type node struct {
	c     Config
	index int
	turns []measure.Turn
	peers map[string]string // settled before anybody is contacted
	extra extraPorts

	round   atomic.Int64
	reached []atomic.Bool      // by index: whether it was reached in its contact
	offers  map[int]chan offer // by round, of those in which another begins
	expects map[int]string     // who that is

	mu        sync.Mutex
	session   string
	streams   chan<- net.Conn
	contacted map[string]bool
}

// Run takes part in a measurement until it is over.
func Run(ctx context.Context, c Config) error {
	if err := c.Spec.Check(); err != nil {
		return err
	}
	n := &node{
		c: c, index: slices.Index(c.Spec.Nodes, c.Self), offers: map[int]chan offer{}, expects: map[int]string{}, contacted: map[string]bool{},
		reached: make([]atomic.Bool, len(c.Spec.Nodes)),
	}
	if n.index < 0 {
		return fmt.Errorf("node %s takes no part in this measurement", c.Self)
	}
	n.round.Store(beforeTurns)
	n.turns = measure.Turns(c.Spec.Schedule(), n.index)
	for _, t := range n.turns {
		if !t.Begins {
			n.offers[t.Round], n.expects[t.Round] = make(chan offer), c.Spec.Nodes[t.Other]
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.Spec.Limits.Total)
	defer cancel()
	stop, err := n.listen(ctx)
	if err != nil {
		return err
	}
	defer stop()
	facts := c.Facts(ctx)
	c.Print(measure.Line{Kind: measure.FactsLine, Facts: &facts})
	n.meet(ctx)
	n.contactAll(ctx)
	n.takeTurns(ctx)
	n.stay(ctx)
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("not done within %v: %w", c.Spec.Limits.Total, err)
	}
	c.Print(measure.Line{Kind: measure.DoneLine})
	return nil
}

// meet waits until everybody has come, for a while.
func (n *node) meet(ctx context.Context) {
	for until := time.Now().Add(n.c.Spec.Limits.Wait); ; {
		found, err := n.c.Peers()
		if err == nil {
			n.peers = found
		}
		missing := slices.ContainsFunc(n.c.Spec.Nodes, func(id string) bool { return id != n.c.Self && n.peers[id] == "" })
		if !missing || time.Now().After(until) || !sleep(ctx, lookEvery) {
			return
		}
	}
}

// stay is there for those that have not been in contact yet.
func (n *node) stay(ctx context.Context) {
	for until := time.Now().Add(n.c.Spec.Limits.Linger); time.Now().Before(until); {
		all := true
		for id := range n.peers {
			all = all && (id == n.c.Self || n.hasContacted(id))
		}
		if all || !sleep(ctx, lookEvery) {
			return
		}
	}
}

func (n *node) hasContacted(id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.contacted[id]
}

func (n *node) wasContacted(from string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.contacted[from] = true
}

func (n *node) setSession(session string, streams chan<- net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.session, n.streams = session, streams
}

// listen opens all ports and answers there until the function that it returns is called.
func (n *node) listen(ctx context.Context) (stop func(), err error) {
	host, port, err := net.SplitHostPort(n.c.Listen)
	if err != nil {
		return nil, fmt.Errorf("address of this node: %w", err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("port of this node: %w", err)
	}
	var lc net.ListenConfig
	main, err := lc.Listen(ctx, "tcp", n.c.Listen)
	if errors.Is(err, syscall.EADDRNOTAVAIL) { // the address is one that others see, behind a translation
		host = ""
		main, err = lc.Listen(ctx, "tcp", net.JoinHostPort("", port))
	}
	if err != nil {
		return nil, err
	}
	listeners := []net.Listener{main}
	portOf := func(port int) int {
		l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return 0 // somebody else has it
		}
		listeners = append(listeners, l)
		return l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // of TCP
	}
	n.extra = extraPorts{Next: portOf(number + 1), Ephemeral: portOf(0)}
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	// Nobody needs more: a contact with its port of each other, and the streams of a turn.
	room := make(chan struct{}, 4*len(n.c.Spec.Nodes)+2*n.c.Spec.Limits.Streams+32)
	for _, l := range listeners {
		all.Go(func() { n.accept(ctx, l, room, &all) })
	}
	return func() {
		cancel()
		for _, l := range listeners {
			_ = l.Close() // over
		}
		all.Wait()
	}, nil
}

func (n *node) accept(ctx context.Context, l net.Listener, room chan struct{}, all *sync.WaitGroup) {
	for {
		conn, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // too many files, for one
			if !sleep(ctx, 50*time.Millisecond) {
				return
			}
			continue
		}
		select {
		case room <- struct{}{}:
		default:
			_ = conn.Close() // more than take part
			continue
		}
		all.Go(func() {
			defer func() { <-room }()
			n.answer(ctx, conn)
		})
	}
}

// answer serves one connection, and closes it unless it is a stream of the turn.
func (n *node) answer(ctx context.Context, conn net.Conn) {
	kept := false
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		if !kept {
			stop()
			_ = conn.Close() // answered
		}
	}()
	h, err := admit(conn, n.c.Token, n.c.Self)
	if err != nil || !slices.Contains(n.c.Spec.Nodes, h.From) {
		return
	}
	switch h.Kind {
	case kindContact:
		n.answerContact(conn, h.From)
	case kindRound:
		n.answerRound(conn)
	case kindTurn:
		n.offerTurn(ctx, conn, h)
	case kindData:
		kept = n.keep(conn, h.Session)
	}
}

// keep hands a stream over to the turn that it is of.
func (n *node) keep(conn net.Conn, session string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if session == "" || session != n.session {
		return false
	}
	select {
	case n.streams <- conn:
		return true
	default: // more than were asked for
		return false
	}
}
