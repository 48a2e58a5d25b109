package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
)

// Bounds of the socket. A client that goes beyond them is disconnected.
const (
	maxSockets       = 512
	maxTopics        = 16
	maxClientMessage = 8 << 10 // bytes
	maxSubscribes    = 100     // messages over the life of a socket
	writeTimeout     = 10 * time.Second
	pingEvery        = 25 * time.Second
	silenceTimeout   = 70 * time.Second // longer than two pings: the client answers each one
	compressFrom     = 1 << 10          // bytes of a message; a shorter one is sent sooner than it is compressed
)

// subscribeMessage is all that a client can say: the topics it wants from now on (instead of those before), and for
// each the sequence that it has already. A topic without one begins now.
type subscribeMessage struct {
	Sub   []string         `json:"sub"`
	Since map[string]int64 `json:"since"`
}

// parseSubscribe checks a client's message.
func parseSubscribe(b []byte) (map[string]int64, error) {
	var m subscribeMessage
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return nil, fmt.Errorf("socket message: %w: %w", fault.ErrInvalid, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("socket message: %w: more than one value", fault.ErrInvalid)
	}
	if len(m.Sub) == 0 || len(m.Sub) > maxTopics {
		return nil, fmt.Errorf("socket message: %w: %d topics, 1 to %d are allowed", fault.ErrInvalid, len(m.Sub), maxTopics)
	}
	since := make(map[string]int64, len(m.Sub))
	for _, topic := range m.Sub {
		if !topicExists(topic) {
			return nil, fmt.Errorf("socket message: %w: no topic %.80q", fault.ErrInvalid, topic)
		}
		since[topic] = -1
		if seq, ok := m.Since[topic]; ok {
			since[topic] = seq
		}
	}
	return since, nil
}

func topicExists(topic string) bool {
	if topic == feed.RunsTopic || topic == feed.SystemTopic {
		return true
	}
	kind, id, _ := strings.Cut(topic, ":")
	var err error
	switch kind {
	case "run":
		_, err = run.ParseID(id)
	case "sweep":
		_, err = run.ParseSweepID(id)
	default:
		return false
	}
	return err == nil
}

// Connect turns the request into a live connection and serves it until either side ends it. Who may connect is for the
// caller to check.
func (s *Server) Connect(w http.ResponseWriter, r *http.Request) error {
	if !websocket.IsWebSocketUpgrade(r) {
		return fault.ErrUpgrade
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return fault.ErrTooMany
	}
	upgrader := websocket.Upgrader{
		ReadBufferSize: 1024, WriteBufferSize: 4096, EnableCompression: true,
		CheckOrigin: func(*http.Request) bool { return true },
		Error:       func(http.ResponseWriter, *http.Request, int, error) {}, // answered with what is returned
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return fault.New(fault.ErrBadRequest, "The request does not open a WebSocket of version 13.", "").Because(err)
	}
	if !s.enter() {
		return conn.Close()
	}
	defer s.sockets.Done()
	c := &socket{server: s, conn: conn}
	if err := c.serve(s.ctx); err != nil {
		s.log.Debug("socket ended", "err", err)
	}
	return nil
}

// socket is one live connection. The goroutine that made it reads; one more writes what the subscription brings, and
// one pings.
type socket struct {
	server *Server
	conn   *websocket.Conn
	write  sync.Mutex // one message at a time
}

// serve reads until the connection or ctx ends, and waits for its goroutines.
func (c *socket) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	defer func() { _ = c.conn.Close() }() // the other side may have closed it already

	wg.Go(func() { c.ping(ctx) })
	wg.Go(func() { // closing the connection is what ends a blocked read or write
		<-ctx.Done()
		c.goodbye(websocket.CloseGoingAway, "the console is stopping")
	})
	c.conn.SetReadLimit(maxClientMessage)
	alive := func(string) error { return c.conn.SetReadDeadline(time.Now().Add(silenceTimeout)) }
	c.conn.SetPongHandler(alive)
	endSubscription := func() {}
	defer func() { endSubscription() }()
	for n := 0; ; n++ {
		if err := alive(""); err != nil {
			return err
		}
		kind, body, err := c.read()
		if err != nil {
			return err
		}
		since, err := parseSubscribe(body)
		if err == nil && (kind != websocket.TextMessage || n >= maxSubscribes) {
			err = fmt.Errorf("socket: %w: not a text message, or too many", fault.ErrInvalid)
		}
		if err != nil {
			c.goodbye(websocket.ClosePolicyViolation, "not a message of this protocol")
			return err
		}
		endSubscription()
		endSubscription = c.subscribe(ctx, cancel, &wg, since)
	}
}

// subscribe starts writing what the topics bring, and returns what ends that and waits for it.
func (c *socket) subscribe(ctx context.Context, fail func(), wg *sync.WaitGroup, since map[string]int64) func() {
	sub := c.server.feed.Subscribe(since)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		defer sub.Close()
		if err := c.pump(ctx, sub); ctx.Err() == nil {
			c.server.log.Debug("socket cannot be written", "err", err)
			_ = c.conn.Close() // ends the read; it may have failed already
			fail()
		}
	})
	return func() { cancel(); <-done }
}

// pump writes messages until the subscription ends, ctx does, or the connection fails; it says which.
func (c *socket) pump(ctx context.Context, sub *feed.Subscription) error {
	if err := c.send(outgoing{Type: "ping"}); err != nil { // tells the client that it is subscribed
		return err
	}
	var held heldRows
	for {
		batch, err := held.next(ctx, sub)
		if err != nil {
			return err
		}
		for _, m := range feed.Newest(batch) {
			if err := c.pass(ctx, &held, m); err != nil {
				return err
			}
		}
		if err := c.sendRows(ctx, &held); err != nil {
			return err
		}
	}
}

// pass sends a message with the fragment that it changes, or holds it for the next message of rows.
func (c *socket) pass(ctx context.Context, held *heldRows, m feed.Message) error {
	took, err := held.take(m)
	if err != nil {
		c.server.log.Warn("rows for the socket", "err", err)
	}
	if took {
		return nil
	}
	if rows := held.release(m.Topic, time.Now()); rows != nil { // what was before m must not come after it
		if err := c.send(c.server.rowsMessage(ctx, m.Topic, rows)); err != nil {
			return err
		}
	}
	html, err := c.server.fragment(ctx, m)
	if err != nil {
		c.server.log.Warn("render for the socket", "topic", m.Topic, "type", m.Type, "err", err)
	}
	if html != "" {
		if err := c.send(outgoing{Topic: m.Topic, Seq: m.Seq, Type: "html", Data: html}); err != nil {
			return err
		}
	}
	return c.send(outgoing{Topic: m.Topic, Seq: m.Seq, Type: m.Type, Data: m.Data})
}

// read returns the client's next message. The connection's own limit is of what comes over the wire; this one is of what
// that decompresses to.
func (c *socket) read() (kind int, body []byte, err error) {
	kind, r, err := c.conn.NextReader()
	if err != nil {
		return kind, nil, err
	}
	body, err = io.ReadAll(io.LimitReader(r, maxClientMessage+1))
	if err == nil && len(body) > maxClientMessage {
		c.goodbye(websocket.CloseMessageTooBig, "the message is too long")
		err = websocket.ErrReadLimit
	}
	return kind, body, err
}

// outgoing is a message to the client.
type outgoing struct {
	Topic string `json:"topic,omitempty"`
	Seq   int64  `json:"seq,omitempty"`
	Type  string `json:"type"`
	Data  any    `json:"data,omitempty"`
}

func (c *socket) send(m outgoing) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode %s for the socket: %w", m.Type, err)
	}
	c.write.Lock()
	defer c.write.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	c.conn.EnableWriteCompression(len(body) >= compressFrom) // where the client can read it
	return c.conn.WriteMessage(websocket.TextMessage, body)
}

// ping keeps both sides sure of each other: a control frame that the browser answers, and a message that the page sees.
func (c *socket) ping(ctx context.Context) {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if c.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeTimeout)) != nil || c.send(outgoing{Type: "ping"}) != nil {
			_ = c.conn.Close() // ends the read, which ends the rest
			return
		}
	}
}

// goodbye says why and closes.
func (c *socket) goodbye(code int, why string) {
	// The client may have gone; closing is what counts.
	_ = c.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, why), time.Now().Add(time.Second))
	_ = c.conn.Close()
}
