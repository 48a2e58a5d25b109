package reftrain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// spoke is the mesh of every worker but 0: one connection to worker 0.
type spoke struct {
	o      meshOptions
	link   *link
	wg     sync.WaitGroup
	done   chan struct{}
	sendTo []int // joiners that wait for this worker's state
}

func newSpoke(o meshOptions) *spoke {
	return &spoke{o: o, link: newLink(nil, o.timing.heartbeatTimeout), done: make(chan struct{})}
}

func (s *spoke) broken() <-chan struct{} { return s.link.gone }

// cause waits for the link to end, which it is about to.
func (s *spoke) cause() error {
	<-s.link.gone
	for { // a good-bye says more than the end of the connection
		select {
		case f := <-s.link.inbox:
			if f.kind == frameShutdown {
				return leaderError(partingError(f))
			}
		default:
			return leaderError(s.link.err)
		}
	}
}

func leaderError(err error) error {
	if errors.Is(err, errFinished) || errors.Is(err, errStopping) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", errLeaderGone, err)
}

// dialPause is the wait between two attempts to reach worker 0, which may start later than this worker.
const dialPause = 200 * time.Millisecond

func (s *spoke) start(ctx context.Context, me position) (view, []byte, error) {
	joining, cancel := context.WithTimeout(ctx, s.o.timing.join)
	defer cancel()
	hello := header{
		Protocol: protocolVersion, Fingerprint: s.o.fingerprint, ID: s.o.id, Rank: s.o.rank, Source: s.o.source,
		Outer: me.outer, BaseHash: me.baseHash,
	}
	for {
		err := s.connect(joining, hello)
		if err == nil {
			break
		}
		select {
		case <-joining.Done():
			if ctx.Err() != nil {
				return view{}, nil, ctx.Err()
			}
			return view{}, nil, fmt.Errorf("no worker 0 at %s within %s: %w", s.o.addr, s.o.timing.join, err)
		case <-time.After(dialPause):
		}
	}
	return s.awaitStart(ctx)
}

func (s *spoke) connect(ctx context.Context, hello header) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.o.addr)
	if err != nil {
		return err
	}
	s.link = newLink(conn, s.o.timing.heartbeatTimeout)
	if err := s.link.send(frame{kind: frameHello, header: hello}); err != nil {
		s.link.fail(err) // it has no reader yet
		return err
	}
	l := s.link
	s.wg.Go(func() { l.receive(s.o.maxBlob()) })
	s.wg.Go(func() { s.beat(l) })
	return nil
}

func (s *spoke) beat(l *link) {
	t := time.NewTicker(s.o.timing.heartbeat)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			l.beat()
		case <-l.gone:
			return
		}
	}
}

// awaitStart waits as long as worker 0 lives: a first world takes a bounded time, but an outer step may be long.
func (s *spoke) awaitStart(ctx context.Context) (view, []byte, error) {
	for {
		var f frame
		select {
		case f = <-s.link.inbox:
		case <-ctx.Done():
			return view{}, nil, ctx.Err()
		case <-s.link.gone:
			if len(s.link.inbox) > 0 {
				continue
			}
			return view{}, nil, s.cause()
		}
		switch f.kind {
		case frameWait:
			s.o.log.info("Waiting to join")
		case frameStart:
			blob := f.blob
			if !f.HasState {
				blob = nil
			}
			return view{rank: f.Rank, ids: f.Members}, blob, nil
		case frameShutdown:
			return view{}, nil, leaderError(partingError(f))
		default:
			return view{}, nil, fmt.Errorf("%w: %w", errLeaderGone, errProtocol)
		}
	}
}

func (s *spoke) average(ctx context.Context, round int64, encoding string, vec []float64, _ bool) (view, error) {
	f := frame{kind: frameVector, header: header{Round: round, Encoding: encoding}, blob: encodeVector(encoding, vec)}
	if err := s.link.send(f); err != nil {
		return view{}, s.cause()
	}
	// Worker 0 waits for the slowest member; then the answer must come.
	f, err := s.link.await(ctx, time.Now().Add(s.o.timing.barrier+s.o.timing.heartbeatTimeout), frameAverage, round)
	if err == nil {
		err = decodeVector(encoding, f.blob, vec)
	}
	if err != nil {
		if ctx.Err() != nil {
			return view{}, ctx.Err()
		}
		return view{}, leaderError(err)
	}
	s.sendTo = f.SendTo
	return view{rank: f.Rank, ids: f.Members}, nil
}

func (s *spoke) handOver(_ context.Context, snapshot func() ([]byte, error)) error {
	if len(s.sendTo) == 0 {
		return nil
	}
	for _, rank := range s.sendTo {
		s.o.log.info("Start live recovery to rank %d", rank)
	}
	s.sendTo = nil
	b, err := snapshot()
	if err != nil {
		return err
	}
	if err := s.link.send(frame{kind: frameState, blob: b}); err != nil {
		return s.cause()
	}
	return nil
}

func (s *spoke) close(why parting) {
	if s.link.conn == nil {
		return
	}
	reason := map[parting]string{partFailed: "ended with an error", partFinished: "training is finished", partStopping: "asked to stop"}[why]
	if why != partAbrupt {
		_ = s.link.send(frame{kind: frameBye, header: header{Reason: reason}}) // worker 0 may be gone
	}
	s.link.fail(errors.New("this worker has ended"))
	s.wg.Wait()
}
