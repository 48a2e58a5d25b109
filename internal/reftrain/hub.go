package reftrain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// hub is worker 0's side of the mesh: it takes connections, averages, admits and evicts.
type hub struct {
	o    meshOptions
	ln   net.Listener // nil in a world of one that nobody can join
	wg   sync.WaitGroup
	done chan struct{} // closed by close
	dead chan struct{} // never closed: worker 0 goes on as long as it lives

	refusals atomic.Int64

	mu       sync.Mutex // guards what follows
	waiting  []*peer    // greeted, not members, by arrival
	links    map[*link]struct{}
	started  bool
	finished bool
	ids      map[string]bool // every ID seen alive, waiting or member
	arrived  chan struct{}   // one token: look at waiting again

	// Only the goroutine that trains uses these.
	members   []*peer // without worker 0, in mesh order
	newcomers []*peer // admitted by the last average, not yet given the state
}

// peer is another worker as the hub knows it.
type peer struct {
	*link
	hello header
	order int // place in the sum: GLOBAL_RANK
}

// maxPeers bounds connections, greeted or not. It is far above CotrainCore's 100 joiners.
const maxPeers = 256

// maxRefusalLines bounds the log lines about workers that were turned away.
const maxRefusalLines = 20

// helloTimeout is how long a connection may take to say who it is.
const helloTimeout = 5 * time.Second

// newHub listens at the address of worker 0.
func newHub(ctx context.Context, o meshOptions) (*hub, error) {
	h := &hub{
		o: o, ln: o.listener, done: make(chan struct{}), dead: make(chan struct{}), links: map[*link]struct{}{},
		ids: map[string]bool{o.id: true}, arrived: make(chan struct{}, 1),
	}
	if h.ln == nil && o.addr != "" {
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.addr)
		if err != nil {
			return nil, fmt.Errorf("listen for workers at %s (GLOBAL_ADDR:GLOBAL_PORT): %w", o.addr, err)
		}
		h.ln = ln
	}
	if h.ln != nil {
		h.wg.Go(h.accept)
		h.wg.Go(h.beat)
	}
	return h, nil
}

func (h *hub) broken() <-chan struct{} { return h.dead }
func (h *hub) cause() error            { return nil }

func (h *hub) accept() {
	for {
		conn, err := h.ln.Accept()
		if err != nil {
			select {
			case <-h.done:
				return
			case <-time.After(50 * time.Millisecond): // out of descriptors, perhaps: it passes
				continue
			}
		}
		l := newLink(conn, h.o.timing.heartbeatTimeout)
		h.mu.Lock()
		full := len(h.links) >= maxPeers || h.finished
		if !full {
			h.links[l] = struct{}{}
		}
		h.mu.Unlock()
		if full {
			_ = conn.Close() // it will try again
			continue
		}
		h.wg.Go(func() { h.serve(l) })
	}
}

// serve greets one connection and reads from it until it ends.
func (h *hub) serve(l *link) {
	p, err := h.greet(l)
	if err == nil {
		p.receive(h.o.maxBlob())
		err = p.err
	}
	l.fail(err)
	h.mu.Lock()
	delete(h.links, l)
	if p != nil {
		delete(h.ids, p.hello.ID)
		h.waiting = slices.DeleteFunc(h.waiting, func(q *peer) bool { return q == p })
	}
	h.mu.Unlock()
	h.wake()
}

func (h *hub) wake() {
	select {
	case h.arrived <- struct{}{}:
	default:
	}
}

func (h *hub) greet(l *link) (*peer, error) {
	limit := time.AfterFunc(min(helloTimeout, h.o.timing.heartbeatTimeout), func() { l.fail(errors.New("no greeting")) })
	f, err := readFrame(l, 0)
	if !limit.Stop() {
		return nil, errors.New("no greeting")
	}
	if err != nil {
		return nil, err
	}
	refuse := func(reason string) (*peer, error) {
		if h.refusals.Add(1) <= maxRefusalLines { // anyone can cause them
			h.o.log.warn("refused a worker from %s: %s", l.conn.RemoteAddr(), reason)
		}
		_ = l.send(frame{kind: frameShutdown, header: header{Reason: reason}}) // it may be gone already
		return nil, errors.New(reason)
	}
	switch {
	case f.kind != frameHello || f.Protocol != protocolVersion:
		return nil, errFrame
	case !validID(f.ID) || f.Rank < 0 || f.Rank > maxCount:
		return refuse("GLOBAL_UNIQUE_ID must be 1 to 128 printable characters")
	case f.Fingerprint != h.o.fingerprint:
		return refuse("its configuration or text is not the same as worker 0's")
	}
	p := &peer{link: l, hello: f.header, order: f.Rank}
	h.mu.Lock()
	refusal := ""
	switch {
	case h.ids[f.ID]:
		refusal = "a worker with the GLOBAL_UNIQUE_ID " + f.ID + " takes part already"
	case h.started && !h.o.elastic:
		refusal = "the world is complete, and without diloco nobody joins later"
	}
	late := h.started
	if refusal == "" {
		h.ids[f.ID] = true
		h.waiting = append(h.waiting, p)
	}
	h.mu.Unlock()
	if refusal != "" {
		return refuse(refusal)
	}
	if late {
		if err := p.send(frame{kind: frameWait}); err != nil {
			return p, err
		}
	}
	h.wake()
	return p, nil
}

// validID keeps IDs printable on one line and free of the quotes that lists of them are printed with.
func validID(id string) bool {
	if len(id) == 0 || len(id) > 128 {
		return false
	}
	for _, r := range id {
		if r <= ' ' || r > '~' || r == '\'' {
			return false
		}
	}
	return true
}

// beat keeps every connection alive.
func (h *hub) beat() {
	t := time.NewTicker(h.o.timing.heartbeat)
	defer t.Stop()
	for {
		select {
		case <-h.done:
			return
		case <-t.C:
		}
		h.mu.Lock()
		links := make([]*link, 0, len(h.links))
		for l := range h.links {
			links = append(links, l)
		}
		h.mu.Unlock()
		for _, l := range links {
			l.beat()
		}
	}
}

func (h *hub) start(ctx context.Context, me position) (view, []byte, error) {
	deadline := time.NewTimer(h.o.timing.join)
	defer deadline.Stop()
	for complete := false; !complete; {
		chosen := h.firstOfEachRank()
		if complete = len(chosen) == h.o.world-1; complete {
			break
		}
		select {
		case <-ctx.Done():
			return view{}, nil, ctx.Err()
		case <-h.arrived:
		case <-deadline.C:
			if !h.o.elastic {
				return view{}, nil, fmt.Errorf("%d of %d workers came within %s, and without diloco every worker is needed",
					len(chosen)+1, h.o.world, h.o.timing.join)
			}
			h.o.log.warn("%d of %d workers came within %s: going on with them", len(chosen)+1, h.o.world, h.o.timing.join)
			complete = true
		}
	}
	h.mu.Lock()
	h.started = true
	h.members = h.pick()
	h.waiting = slices.DeleteFunc(h.waiting, func(p *peer) bool { return slices.Contains(h.members, p) })
	rest := slices.Clone(h.waiting)
	h.mu.Unlock()
	for _, p := range rest {
		f := frame{kind: frameWait}
		if !h.o.elastic {
			f = frame{kind: frameShutdown, header: header{Reason: "another worker has this GLOBAL_RANK"}}
		}
		_ = p.send(f) // a failure ends the link
	}
	return h.view(), nil, h.startMembers(me)
}

// startMembers tells the first members that the world is complete, with the state for those that stand elsewhere.
func (h *hub) startMembers(me position) error {
	v := h.view()
	for i, p := range h.members {
		f := frame{kind: frameStart, header: header{Rank: i + 1, Members: v.ids}}
		if p.hello.Outer != me.outer || p.hello.BaseHash != me.baseHash {
			b, err := me.snapshot()
			if err != nil {
				return err
			}
			h.o.log.info("Start live recovery to rank %d", i+1)
			f.HasState, f.blob = true, b
		}
		_ = p.send(f) // a failure ends the link, which the first average finds out
	}
	return nil
}

func (h *hub) firstOfEachRank() []*peer {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.pick()
}

// pick returns the first waiting peer of each rank of the world, by rank. The caller holds mu.
func (h *hub) pick() []*peer {
	var out []*peer
	for rank := 1; rank < h.o.world && len(out) < len(h.waiting); rank++ {
		if i := slices.IndexFunc(h.waiting, func(p *peer) bool { return p.hello.Rank == rank }); i >= 0 {
			out = append(out, h.waiting[i])
		}
	}
	return out
}

func (h *hub) view() view {
	v := view{ids: []string{h.o.id}}
	for _, p := range h.members {
		v.ids = append(v.ids, p.hello.ID)
	}
	return v
}

func (h *hub) close(why parting) {
	h.mu.Lock()
	h.finished = true
	waiting := slices.Clone(h.waiting)
	h.mu.Unlock()
	bye := frame{kind: frameShutdown, header: header{Finished: why == partFinished, Stopping: why == partStopping}}
	switch why {
	case partFinished:
		bye.Reason = errFinished.Error()
	case partStopping:
		bye.Reason = errStopping.Error()
	default:
		bye.Reason = "worker 0 ended with an error"
	}
	if why != partAbrupt {
		h.tellAll(waiting, bye)
		if why == partFinished { // they may still be reading the last average
			h.awaitGoodbyes()
		}
		h.tellAll(h.members, bye)
	}
	close(h.done)
	if h.ln != nil {
		_ = h.ln.Close() // wakes accept
	}
	h.mu.Lock()
	links := h.links
	h.links = map[*link]struct{}{}
	h.mu.Unlock()
	for l := range links {
		l.fail(errors.New("this worker has ended"))
	}
	h.wg.Wait()
}

// tellAll sends a frame to many peers at once, so that one that hangs holds up nobody else.
func (h *hub) tellAll(peers []*peer, f frame) {
	var wg sync.WaitGroup
	for _, p := range peers {
		wg.Go(func() { _ = p.send(f) }) // a failure ends the link
	}
	wg.Wait()
}

func (h *hub) awaitGoodbyes() {
	limit := time.NewTimer(h.o.timing.goodbye)
	defer limit.Stop()
	for _, p := range h.members {
		select {
		case <-p.gone:
		case <-limit.C:
			return
		}
	}
}
