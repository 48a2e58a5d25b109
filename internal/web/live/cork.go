package live

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cotrain/cotrain/internal/stream"
)

// isControl is the bit of a frame's first byte that pings, pongs and closing frames have; see RFC 6455, 5.2.
const isControl = 0x08

// cork is a connection that collects data frames until they are flushed, so that those of which a viewer is behind take one write. It
// needs what sockets have here: each write is a whole frame, and those of data are prepared messages, which never change.
type cork struct {
	net.Conn
	upgraded bool // what came before is HTTP

	mu   sync.Mutex
	held net.Buffers
	by   atomic.Int64 // the deadline of writing, in Unix nanoseconds
}

// Write takes a frame. Control frames are sent at once, behind what is held.
func (c *cork) Write(frame []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = append(c.held, frame)
	if c.upgraded && frame[0]&isControl == 0 {
		return len(frame), nil
	}
	return len(frame), c.send()
}

// SetWriteDeadline is that of control frames, and ends a longer wait for what is being sent. Data has none here but that of
// [cork.Flush].
func (c *cork) SetWriteDeadline(by time.Time) error {
	if by.IsZero() {
		return nil
	}
	c.by.Store(by.UnixNano())
	return c.Conn.SetWriteDeadline(by)
}

// Flush sends what is held. The client has [stream.WriteTimeout] to read it, or a tenth less: to set that anew for each message takes
// a tenth of what a message takes.
func (c *cork) Flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.held) == 0 {
		return nil
	}
	if now := time.Now(); c.by.Load()-now.UnixNano() < int64(stream.WriteTimeout/10*9) {
		if err := c.SetWriteDeadline(now.Add(stream.WriteTimeout)); err != nil {
			return err
		}
	}
	return c.send()
}

func (c *cork) send() error {
	frames := c.held
	defer func() {
		clear(c.held)
		c.held = c.held[:0]
	}()
	if _, vectored := c.Conn.(*net.TCPConn); vectored && len(frames) > 1 {
		_, err := frames.WriteTo(c.Conn)
		return err
	}
	all := frames[0]
	if len(frames) > 1 {
		all = bytes.Join(frames, nil)
	}
	_, err := c.Conn.Write(all)
	return err
}

// corking is a response whose connection is corked when it is hijacked.
type corking struct {
	http.ResponseWriter
	conn *cork
}

// Hijack takes the connection.
func (c corking) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(c.ResponseWriter).Hijack()
	c.conn.Conn = conn
	return c.conn, buffered, err
}
