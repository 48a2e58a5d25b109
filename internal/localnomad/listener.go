package localnomad

import (
	"context"
	"net"
	"sync"
)

// memListener is a net.Listener without a port: connections come from
// dial, in this process. Commands run through the API, so that a machine's
// other users must not be able to reach it.
type memListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newMemListener() *memListener {
	return &memListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

// Accept waits for the next dial.
func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close makes Accept and dial fail. Open connections stay open.
func (l *memListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr returns a placeholder: there is no address to dial.
func (l *memListener) Addr() net.Addr { return memAddr{} }

func (l *memListener) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
	case <-ctx.Done():
		_ = client.Close() // neither end was handed out
		_ = server.Close()
		return nil, ctx.Err()
	}
	_ = client.Close() // neither end was handed out
	_ = server.Close()
	return nil, &net.OpError{Op: "dial", Net: "memory", Addr: memAddr{}, Err: net.ErrClosed}
}

type memAddr struct{}

func (memAddr) Network() string { return "memory" }
func (memAddr) String() string  { return "localnomad" }
