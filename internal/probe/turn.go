package probe

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"syscall"
	"time"

	"github.com/cotrain/cotrain/internal/measure"
)

const (
	// beat is how often a node that is asked to take its turn says that it is still busy, and silence when the asker gives up on it.
	beat    = time.Second
	silence = 5 * time.Second
	// gather bounds the wait for the streams of a turn.
	gather = 5 * time.Second
	// lateTurn bounds the wait for a node that cannot be asked in which round it is.
	lateTurn = 15 * time.Second
)

// Answers to a node that asks for its turn.
const (
	answerBusy = 'w' // not yet in that round
	answerGo   = 'g'
	answerPast = 'p' // beyond that round
)

// Rounds before the first and after the last.
const (
	beforeTurns = -1
	afterTurns  = math.MaxInt32
)

var errPast = errors.New("the other node had given up on it")

// offer is a node that is there for its turn.
type offer struct {
	conn net.Conn
	done chan struct{} // closed when the turn is over
}

// transfer is what the receiver tells the sender.
type transfer struct {
	Bits  float64 `json:"bits"`
	Error string  `json:"error,omitempty"`
}

// takeTurns goes through the node's pairs in order.
func (n *node) takeTurns(ctx context.Context) {
	defer n.round.Store(afterTurns)
	for _, t := range n.turns {
		n.round.Store(int64(t.Round))
		id := n.c.Spec.Nodes[t.Other]
		if ctx.Err() != nil {
			return
		}
		var bits float64
		var err error
		switch {
		case !n.reached[t.Other].Load() && (t.Begins || !n.hasContacted(id)):
			continue // the link says why
		case t.Begins:
			bits, err = n.begin(ctx, id, t.Round)
		default:
			bits, err = n.await(ctx, t)
		}
		if ctx.Err() != nil {
			return
		}
		l := measure.Link{Bandwidth: bits}
		if err != nil {
			l = measure.Link{BandwidthError: reason(err).Error()}
		}
		n.c.Print(measure.Line{Kind: measure.BandwidthLine, To: id, Link: &l})
	}
}

// begin connects, waits until the other is there, and has both directions measured, its own first. It returns how fast the other got
// what this node sent.
func (n *node) begin(ctx context.Context, id string, round int) (float64, error) {
	conn, err := n.connect(ctx, id, n.peers[id], hello{Kind: kindTurn, Round: round})
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }() // the turn is over
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	for b := []byte{answerBusy}; b[0] != answerGo; {
		_ = conn.SetDeadline(time.Now().Add(silence))
		if _, err := io.ReadFull(conn, b); err != nil {
			return 0, err
		}
		if b[0] == answerPast {
			return 0, errPast
		}
	}
	var session string
	if err := receive(conn, &session); err != nil {
		return 0, err
	}
	var streams []net.Conn
	defer func() { closeAll(streams) }()
	l := n.c.Spec.Limits
	for range l.Streams {
		s, err := n.connect(ctx, id, n.peers[id], hello{Kind: kindData, Session: session})
		if err != nil {
			return 0, fmt.Errorf("open a stream: %w", err)
		}
		streams = append(streams, s)
		defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	}
	_ = conn.SetDeadline(time.Now().Add(gather + 2*(l.Duration+drain)))
	var ready bool
	if err := receive(conn, &ready); err != nil {
		return 0, err
	}
	if err := sendAll(streams, l.Duration, l.Bytes); err != nil {
		return 0, err
	}
	var mine transfer
	if err := receive(conn, &mine); err != nil {
		return 0, err
	}
	bits, err := receiveAll(streams, l.Duration)
	theirs := transfer{Bits: bits}
	if err != nil {
		theirs = transfer{Error: reason(err).Error()}
	}
	return result(mine, errors.Join(err, send(conn, theirs)))
}

// await waits for the node that begins, as long as that is alive and not past the round, and measures both directions. It returns how
// fast the other got what this node sent.
func (n *node) await(ctx context.Context, t measure.Turn) (float64, error) {
	id := n.c.Spec.Nodes[t.Other]
	late := time.After(lateTurn)
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for failed := 0; ; {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case o := <-n.offers[t.Round]:
			defer close(o.done)
			return n.serveTurn(ctx, o.conn)
		case <-tick.C:
			theirs, err := n.askRound(ctx, id)
			switch {
			case err == nil && theirs > t.Round:
				return 0, errPast
			case err == nil:
				failed = 0
			case n.reached[t.Other].Load():
				if failed++; failed >= 2 || !errors.Is(err, syscall.ECONNREFUSED) {
					return 0, err
				}
			}
		case <-late:
			if !n.reached[t.Other].Load() {
				return 0, errors.New("the other node was not there for it")
			}
		}
	}
}

func (n *node) askRound(ctx context.Context, id string) (int, error) {
	conn, err := n.connect(ctx, id, n.peers[id], hello{Kind: kindRound})
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }() // answered
	var round int
	return round, receive(conn, &round)
}

func (n *node) serveTurn(ctx context.Context, conn net.Conn) (float64, error) {
	l := n.c.Spec.Limits
	_ = conn.SetDeadline(time.Now().Add(2*gather + 2*(l.Duration+drain)))
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	session := rand.Text()
	incoming := make(chan net.Conn, l.Streams)
	n.setSession(session, incoming)
	var streams []net.Conn
	defer func() {
		n.setSession("", nil)
		close(incoming)
		for c := range incoming {
			streams = append(streams, c)
		}
		closeAll(streams)
	}()
	if _, err := conn.Write([]byte{answerGo}); err != nil {
		return 0, err
	}
	if err := send(conn, session); err != nil {
		return 0, err
	}
	enough := time.After(gather)
	for len(streams) < l.Streams {
		select {
		case c := <-incoming:
			streams = append(streams, c)
		case <-enough:
			return 0, errors.New("its streams did not come in time")
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	if err := send(conn, true); err != nil {
		return 0, err
	}
	bits, err := receiveAll(streams, l.Duration+gather)
	if err != nil {
		return 0, err
	}
	if err := send(conn, transfer{Bits: bits}); err != nil {
		return 0, err
	}
	if err := sendAll(streams, l.Duration, l.Bytes); err != nil {
		return 0, err
	}
	var mine transfer
	err = receive(conn, &mine)
	return result(mine, err)
}

// offerTurn waits with a node that asks for its turn, telling it that it is not forgotten, until this node is in that round.
func (n *node) offerTurn(ctx context.Context, conn net.Conn, h hello) {
	offers := n.offers[h.Round]
	if n.expects[h.Round] != h.From {
		offers = nil
	}
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		_ = conn.SetDeadline(time.Now().Add(silence))
		if offers == nil || n.round.Load() > int64(h.Round) {
			_, _ = conn.Write([]byte{answerPast}) // or it has gone
			return
		}
		o := offer{conn, make(chan struct{})}
		select {
		case offers <- o:
			<-o.done
			return
		case <-tick.C:
			if _, err := conn.Write([]byte{answerBusy}); err != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (n *node) answerRound(conn net.Conn) {
	_ = send(conn, n.round.Load()) // or it has gone
}

// result is what the other told of what this node sent.
func result(t transfer, err error) (float64, error) {
	if err == nil && t.Error != "" {
		err = errors.New(t.Error)
	}
	if err != nil {
		return 0, err
	}
	return t.Bits, nil
}

func closeAll(conns []net.Conn) {
	for _, c := range conns {
		_ = c.Close() // used up
	}
}
