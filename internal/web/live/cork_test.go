package live

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
)

// counting counts the writes that reach a connection.
type counting struct {
	net.Conn
	writes int
}

func (c *counting) Write(p []byte) (int, error) {
	c.writes++
	return c.Conn.Write(p)
}

func corked(t *testing.T) (c *cork, wire *counting, client net.Conn) {
	t.Helper()
	server, client := net.Pipe()
	t.Cleanup(func() { _, _ = server.Close(), client.Close() })
	wire = &counting{Conn: server}
	return &cork{Conn: wire, upgraded: true}, wire, client
}

func TestWhatAViewerIsBehindOfTakesOneWriteInOrder(t *testing.T) {
	t.Parallel()
	c, wire, client := corked(t)
	got := make(chan []byte, 1)
	go func() { // ends with the connection
		all, _ := io.ReadAll(client)
		got <- all
	}()
	frames := [][]byte{{0x81, 1, 'a'}, {0x81, 1, 'b'}, {0xc1, 1, 'c'}}
	write := func(frame []byte) {
		t.Helper()
		if n, err := c.Write(frame); n != len(frame) || err != nil {
			t.Fatal(n, err)
		}
	}
	for _, frame := range frames {
		write(frame)
	}
	if wire.writes != 0 {
		t.Errorf("%d writes before the flush", wire.writes)
	}
	for range 2 { // the second has nothing
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if wire.writes != 1 {
		t.Errorf("%d writes of three frames", wire.writes)
	}
	write([]byte{0x81, 1, 'd'})
	write([]byte{0x8a, 0}) // a pong waits for no flush, and does not overtake
	_ = wire.Close()
	want := append(bytes.Join(frames, nil), 0x81, 1, 'd', 0x8a, 0)
	if all := <-got; !bytes.Equal(all, want) {
		t.Errorf("the client got %x, want %x", all, want)
	}
}

func TestAClosingFrameEndsTheWaitForAClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	c, _, _ := corked(t)
	if _, err := c.Write([]byte{0x81, 1, 'a'}); err != nil {
		t.Fatal(err)
	}
	flushed := make(chan error, 1)
	go func() { flushed <- c.Flush() }() // ends with the deadline
	for c.by.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := c.SetWriteDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := <-flushed; err == nil {
		t.Error("it was sent to a client that does not read")
	}
}

func TestADeadlineOfAControlFrameIsNotThatOfWhatComesAfter(t *testing.T) {
	t.Parallel()
	c, _, client := corked(t)
	go func() { _, _ = io.Copy(io.Discard, client) }() // ends with the connection
	if err := c.SetWriteDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte{0x81, 1, 'a'}); err != nil {
		t.Fatal(err)
	}
	if err := c.Flush(); err != nil {
		t.Errorf("data was not sent: %v", err)
	}
}
