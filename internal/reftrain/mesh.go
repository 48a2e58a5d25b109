package reftrain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// mesh is what connects the workers of a run. Worker 0 has a hub, the others a spoke each; one goroutine, the one
// that trains, calls it.
type mesh interface {
	// start waits until this worker is a member, and returns the state to take over when there is one.
	start(ctx context.Context, me position) (view, []byte, error)
	// average replaces vec by its average over the members. Every member calls it with the same round. The view returned
	// includes joiners, admitted unless this is the last round.
	average(ctx context.Context, round int64, encoding string, vec []float64, last bool) (view, error)
	// handOver gives the state to the joiners that the last average admitted, where this worker is their source.
	handOver(ctx context.Context, snapshot func() ([]byte, error)) error
	// broken is closed when this worker cannot go on; cause then says why.
	broken() <-chan struct{}
	cause() error
	// close says good-bye and waits until all goroutines of the mesh have ended.
	close(why parting)
}

// position is what a worker must share with the others before it can go on with them.
type position struct {
	outer    int64
	baseHash string
	snapshot func() ([]byte, error)
}

// view is who takes part; the place in ids is the rank in the mesh.
type view struct {
	rank int
	ids  []string
}

func (v view) size() int { return max(1, len(v.ids)) }

// parting is why a worker leaves.
type parting int

const (
	partFailed parting = iota
	partFinished
	partStopping
	partAbrupt // as a crash would: without a word (fault injection)
)

var (
	errFinished    = errors.New("training is finished")
	errStopping    = errors.New("worker 0 was asked to stop")
	errLeaderGone  = errors.New("worker 0 is gone")
	errWorkerLost  = errors.New("a worker was lost, and without diloco every worker is needed")
	errNoHeartbeat = errors.New("no heartbeat")
	errProtocol    = errors.New("broke the protocol")
	errBarrier     = errors.New("Monitored barrier failed due to timeout") //nolint:staticcheck // CotrainCore's words
)

// timing holds the waits of a mesh. The defaults are CotrainCore's; tests shorten them.
type timing struct {
	heartbeat        time.Duration // between two heartbeats
	heartbeatTimeout time.Duration // silence after which a peer is dead
	join             time.Duration // for worker 0 to answer and for the first world to be complete
	barrier          time.Duration // for the slowest member at an outer step
	goodbye          time.Duration // for the others to leave at the end
}

func defaultTiming() timing {
	return timing{
		heartbeat: 2 * time.Second, heartbeatTimeout: 10 * time.Second, join: 60 * time.Second,
		barrier: 600 * time.Second, goodbye: 10 * time.Second,
	}
}

// meshOptions is what hub and spoke need to know.
type meshOptions struct {
	addr        string       // host:port of worker 0; "" for a world of one that nobody can join
	listener    net.Listener // worker 0: used instead of listening at addr; nil for none
	rank, world int
	id          string
	fingerprint string
	params      int // number of values in a vector
	elastic     bool
	source      int // rank to take the state from when joining
	timing      timing
	log         *logger
}

// maxBlob bounds what a member may send: a whole state, five arrays of all parameters.
func (o meshOptions) maxBlob() int { return 5*8*o.params + 64<<10 }

// link is one connection with its reader. Frames other than heartbeats go to inbox; gone is closed, after err is
// set, when nothing more will come.
type link struct {
	conn    net.Conn
	timeout time.Duration // silence or blockage after which the peer is dead
	writing sync.Mutex
	inbox   chan frame
	gone    chan struct{}
	once    sync.Once
	err     error
}

// inboxSize is more than a correct peer ever has unread: a part of a checkpoint, a state, a vector and a good-bye.
const inboxSize = 8

func newLink(conn net.Conn, timeout time.Duration) *link {
	return &link{conn: conn, timeout: timeout, inbox: make(chan frame, inboxSize), gone: make(chan struct{})}
}

// Read makes silence an error: every byte that comes gives the peer its time again.
func (l *link) Read(p []byte) (int, error) {
	if err := l.conn.SetReadDeadline(time.Now().Add(l.timeout)); err != nil {
		return 0, err
	}
	return l.conn.Read(p)
}

// fail ends the link for a reason; only the first one counts.
func (l *link) fail(err error) {
	l.once.Do(func() {
		l.err = err
		close(l.gone)
		_ = l.conn.Close() // wakes reader and writers
	})
}

// receive moves frames to the inbox until the link ends. A peer that sends what nobody waits for fills the inbox and
// is cut off.
func (l *link) receive(maxBlob int) {
	for {
		f, err := readFrame(l, maxBlob)
		var ne net.Error
		switch {
		case errors.As(err, &ne) && ne.Timeout():
			l.fail(fmt.Errorf("%w for %s", errNoHeartbeat, l.timeout))
			return
		case err != nil:
			l.fail(fmt.Errorf("connection ended: %w", err))
			return
		case f.kind == frameHeartbeat:
			continue
		}
		select {
		case l.inbox <- f:
		default:
			l.fail(fmt.Errorf("%w: more messages than anyone waits for", errProtocol))
			return
		}
		if f.kind == frameBye || f.kind == frameShutdown {
			l.fail(fmt.Errorf("left: %s", cut(f.Reason)))
			return
		}
	}
}

// writeChunk is how much one write deadline covers.
const writeChunk = 256 << 10

// send writes one frame. After an error the link ends, if only when its reader has found out: what the peer said
// before it hung up must still be read.
func (l *link) send(f frame) error {
	b, err := encodeFrame(f)
	if err != nil {
		l.fail(err)
		return err
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	for len(b) > 0 {
		n := min(len(b), writeChunk)
		err := l.conn.SetWriteDeadline(time.Now().Add(l.timeout))
		if err == nil {
			_, err = l.conn.Write(b[:n])
		}
		if err != nil {
			l.writeFailed(err)
			return fmt.Errorf("send: %w", err)
		}
		b = b[n:]
	}
	return nil
}

// beat sends a heartbeat, unless a write is going on, which is a sign of life itself.
func (l *link) beat() {
	b, err := encodeFrame(frame{kind: frameHeartbeat})
	if err != nil || !l.writing.TryLock() {
		return
	}
	defer l.writing.Unlock()
	if err := l.conn.SetWriteDeadline(time.Now().Add(l.timeout)); err != nil {
		return // closed; the reader reports it
	}
	if _, err := l.conn.Write(b); err != nil {
		l.writeFailed(err)
	}
}

// writeFailed ends the link where the peer takes nothing any more; where the connection has ended, the reader does.
func (l *link) writeFailed(err error) {
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		l.fail(fmt.Errorf("send: %w", err))
	}
}

// await returns the next frame of one kind and round. What came before the link ended is still delivered.
func (l *link) await(ctx context.Context, deadline time.Time, kind frameType, round int64) (frame, error) {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	for {
		var f frame
		select {
		case f = <-l.inbox:
		default:
			select {
			case f = <-l.inbox:
			case <-ctx.Done():
				return frame{}, ctx.Err()
			case <-timer.C:
				return frame{}, errBarrier
			case <-l.gone:
				select {
				case f = <-l.inbox:
				default:
					return frame{}, l.err
				}
			}
		}
		switch {
		case f.kind == kind && f.Round == round:
			return f, nil
		case f.kind == frameState && kind != frameState:
			continue // an answer that came after its time
		case f.kind == frameBye, f.kind == frameShutdown:
			return f, partingError(f)
		}
		return frame{}, fmt.Errorf("%w: message %d of round %d instead of %d of round %d", errProtocol, f.kind, f.Round, kind, round)
	}
}

func partingError(f frame) error {
	switch {
	case f.Finished:
		return errFinished
	case f.Stopping:
		return errStopping
	default:
		return fmt.Errorf("it said: %s", cut(f.Reason))
	}
}
