package inbound

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestOneNetworkMayHaveSoManyConnectionsOpen(t *testing.T) {
	t.Parallel()
	inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := netip.MustParseAddr("127.0.0.9")
	l := Limit(inner, 2, func(a netip.Addr) bool { return a == free })
	defer func() { _ = l.Close() }()
	accepted := make(chan net.Conn)
	go func() { // ends with the listener
		for {
			conn, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- conn
		}
	}()
	dial := func(from string) net.Conn {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		conn, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	dial("127.0.0.1")
	first := <-accepted
	dial("127.0.0.1")
	<-accepted
	refused := dial("127.0.0.1")
	if _, err := refused.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("a third connection: %v, want its end", err)
	}
	for _, other := range []string{"127.0.0.2", "127.0.0.9", "127.0.0.9", "127.0.0.9"} { // another network, and a proxy
		dial(other)
		<-accepted
	}
	for range 2 { // closing twice counts once
		_ = first.Close()
	}
	dial("127.0.0.1")
	again := <-accepted
	go func() { _, _ = io.WriteString(again, "x") }()
	if _, err := dial("127.0.0.1").Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("one too many again: %v, want its end", err)
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
