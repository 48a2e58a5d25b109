package localnomad

import (
	"context"
	"net"
)

// memListener is a net.Listener without a port: connections come from dial, in this process. Commands run through the API,
// so that a machine's other users must not be able to reach it.
type memListener struct {
	conns  chan net.Conn
	ctx    context.Context //nolint:containedctx // done when it is closed
	cancel context.CancelFunc
}

func newMemListener() *memListener {
	l := &memListener{conns: make(chan net.Conn)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// Accept waits for the next dial.
func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close makes Accept and dial fail. Open connections stay open.
func (l *memListener) Close() error {
	l.cancel()
	return nil
}

// Addr returns a placeholder: there is no address to dial.
func (l *memListener) Addr() net.Addr { return &net.UnixAddr{Name: "localnomad", Net: "memory"} }

func (l *memListener) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	err := error(&net.OpError{Op: "dial", Net: "memory", Addr: l.Addr(), Err: net.ErrClosed})
	select {
	case l.conns <- server:
		return client, nil
	case <-l.ctx.Done():
	case <-ctx.Done():
		err = ctx.Err()
	}
	_ = client.Close() // neither end was handed out
	_ = server.Close()
	return nil, err
}
