package db

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// patient bounds how long a connection may take to be made, and each wait for the server: neither a server that hangs nor a
// network that swallows packets can hold a call for ever.
func patient(connect, answer time.Duration) pgconn.DialFunc {
	dialer := &net.Dialer{Timeout: connect, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &patientConn{Conn: c, limit: answer}, nil
	}
}

type patientConn struct {
	net.Conn
	limit time.Duration

	mu  sync.Mutex
	own bool // the driver has set a deadline
}

func (c *patientConn) Read(b []byte) (int, error) {
	c.mu.Lock()
	if !c.own {
		_ = c.SetReadDeadline(time.Now().Add(c.limit)) // a closed connection says so in Read
	}
	c.mu.Unlock()
	return c.Conn.Read(b)
}

func (c *patientConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	if !c.own {
		_ = c.SetWriteDeadline(time.Now().Add(c.limit))
	}
	c.mu.Unlock()
	return c.Conn.Write(b)
}

func (c *patientConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.own = !t.IsZero()
	return c.Conn.SetDeadline(t)
}
