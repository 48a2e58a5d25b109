package live_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// countedConn counts what comes over the wire.
type countedConn struct {
	net.Conn
	read *atomic.Int64
}

func (c countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read.Add(int64(n))
	return n, err
}

// dialCompressing connects as browsers do, which offer to compress.
func dialCompressing(s *webtest.Site) (*client, *atomic.Int64) {
	s.T.Helper()
	var read atomic.Int64
	d := websocket.Dialer{EnableCompression: true, NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return countedConn{conn, &read}, err
	}}
	conn, res, err := d.DialContext(s.T.Context(), strings.Replace(s.HTTP.URL, "http", "ws", 1)+"/ws", http.Header{"Origin": {s.HTTP.URL}})
	if err != nil {
		s.T.Fatal(err)
	}
	_ = res.Body.Close()
	s.T.Cleanup(func() { _ = conn.Close() })
	return &client{s.T, conn}, &read
}

func TestLongMessagesAreCompressed(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	c, read := dialCompressing(s)
	topic := feed.RunTopic(webtest.Run(run.Running).ID)
	c.say(`{"sub":["` + topic + `"]}`)
	c.subscribed()
	workers := make([]run.Worker, 300)
	for i := range workers {
		workers[i] = run.Worker{AllocID: "a", Rank: i, NodeName: "node.example", State: run.WorkerRunning}
	}
	before := read.Load()
	publish(s, topic, feed.Workers, workers)
	long := len(c.next().Data)
	if wire := read.Load() - before; long < 40_000 || wire > int64(long)/10 {
		t.Errorf("a message of %d bytes took %d on the wire", long, wire)
	}
}

func TestAShortMessageThatBecomesALongOneIsRefused(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	c, _ := dialCompressing(s)
	c.conn.EnableWriteCompression(true)
	c.say(`{"sub":["` + strings.Repeat("x", 1<<20) + `"]}`) // a few kilobytes on the wire
	_ = c.conn.SetReadDeadline(time.Now().Add(time.Minute))
	if _, _, err := c.conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseMessageTooBig) {
		t.Errorf("got %v", err)
	}
}
