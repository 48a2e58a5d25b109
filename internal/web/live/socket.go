package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
)

// Limits of a socket; a client that exceeds them is disconnected.
const (
	maxSockets       = 512
	maxTopics        = 16
	maxClientMessage = 8 << 10 // bytes
	maxSubscribes    = 100     // messages per socket
	writeTimeout     = 10 * time.Second
	pingEvery        = 25 * time.Second
	silenceTimeout   = 70 * time.Second // longer than two pings
	compressFrom     = 1 << 10          // bytes; shorter messages are faster uncompressed
)

// subscribeMessage is a client's only message: the topics it wants from now on, each with the last sequence it has. A
// topic without one starts now.
type subscribeMessage struct {
	Sub   []string         `json:"sub"`
	Since map[string]int64 `json:"since"`
}

// parseSubscribe checks a client's message.
func parseSubscribe(b []byte) (since map[string]int64, topics []subject, err error) {
	var m subscribeMessage
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return nil, nil, fmt.Errorf("socket message: %w: %w", fault.ErrInvalid, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, fmt.Errorf("socket message: %w: more than one value", fault.ErrInvalid)
	}
	if len(m.Sub) == 0 || len(m.Sub) > maxTopics {
		return nil, nil, fmt.Errorf("socket message: %w: %d topics, 1 to %d are allowed", fault.ErrInvalid, len(m.Sub), maxTopics)
	}
	since = make(map[string]int64, len(m.Sub))
	for _, topic := range m.Sub {
		of, err := parseTopic(topic)
		if err != nil {
			return nil, nil, fmt.Errorf("socket message: %w: no topic %.80q", fault.ErrInvalid, topic)
		}
		topics = append(topics, of)
		since[topic] = -1
		if seq, ok := m.Since[topic]; ok {
			since[topic] = seq
		}
	}
	return since, topics, nil
}

// Connect upgrades the request and serves the socket until either side ends it, or who asked may not follow its topics any more.
func (s *Server) Connect(w http.ResponseWriter, r *http.Request) error {
	if !websocket.IsWebSocketUpgrade(r) {
		return fault.ErrNotSocket
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return fault.ErrTooManyPages
	}
	upgrader := websocket.Upgrader{
		ReadBufferSize: 1024, WriteBufferSize: 4096, EnableCompression: true,
		CheckOrigin: func(*http.Request) bool { return true },
		Error:       func(http.ResponseWriter, *http.Request, int, error) {}, // reported by our return value
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return fault.New(fault.ErrBadRequest, "The request does not open a WebSocket of version 13.", "").Because(err)
	}
	if !s.enter() {
		return conn.Close()
	}
	defer s.sockets.Done()
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context())) // the request's ends where it began
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	c := &socket{server: s, conn: conn}
	c.who.Store(new(access.From(ctx)))
	if err := c.serve(ctx); err != nil {
		s.o.Logger.Debug("socket ended", "err", err)
	}
	return nil
}

// socket is a live connection: its goroutine reads, one writes, one pings.
type socket struct {
	server *Server
	conn   *websocket.Conn
	write  sync.Mutex // one message at a time
	who    atomic.Pointer[access.Identity]
	topics atomic.Pointer[[]subject] // that are followed
}

// serve reads until the connection or ctx ends, and waits for its goroutines.
func (c *socket) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	defer func() { _ = c.conn.Close() }() // may be closed already

	wg.Go(func() { c.ping(ctx) })
	wg.Go(func() { c.watchAccess(ctx) })
	wg.Go(func() { // closing unblocks reads and writes
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
		since, topics, err := parseSubscribe(body)
		if err == nil && (kind != websocket.TextMessage || n >= maxSubscribes) {
			err = fmt.Errorf("socket: %w: not a text message, or too many", fault.ErrInvalid)
		}
		if err != nil {
			c.goodbye(websocket.ClosePolicyViolation, "not a message of this protocol")
			return err
		}
		c.topics.Store(&topics)
		if err := c.mayFollow(ctx); err != nil {
			c.goodbye(closeNotAllowed, "not allowed")
			return err
		}
		endSubscription()
		endSubscription = c.subscribe(ctx, cancel, &wg, since)
	}
}

// subscribe starts a writer for the topics, and returns a function that ends it and waits.
func (c *socket) subscribe(ctx context.Context, fail func(), wg *sync.WaitGroup, since map[string]int64) func() {
	sub := c.server.o.Feed.Subscribe(since)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		defer sub.Close()
		if err := c.pump(ctx, sub); ctx.Err() == nil {
			c.server.o.Logger.Debug("socket cannot be written", "err", err)
			_ = c.conn.Close() // ends the read
			fail()
		}
	})
	return func() { cancel(); <-done }
}

// pump writes messages until the subscription, ctx or the connection ends, and returns why.
func (c *socket) pump(ctx context.Context, sub *feed.Subscription) error {
	if err := c.send(outgoing{Type: "ping"}); err != nil { // confirms the subscription
		return err
	}
	var held heldRows
	for {
		batch, err := held.next(ctx, sub)
		if err != nil {
			return err
		}
		ctx := access.With(ctx, *c.who.Load())
		for _, m := range feed.Coalesce(visible(ctx, batch)) {
			if err := c.pass(ctx, &held, m); err != nil {
				return err
			}
		}
		if err := c.sendRows(ctx, &held); err != nil {
			return err
		}
	}
}

// pass sends a message with its fragment, or holds it for the next rows.
func (c *socket) pass(ctx context.Context, held *heldRows, m feed.Message) error {
	took, err := held.take(m)
	if err != nil {
		c.server.o.Logger.Warn("rows for the socket", "err", err)
	}
	if took {
		return nil
	}
	if rows := held.release(m.Topic, time.Now()); rows != nil { // earlier states must not follow m
		if err := c.send(c.server.rowsMessage(ctx, m.Topic, rows)); err != nil {
			return err
		}
	}
	html, err := c.server.fragment(ctx, m)
	if err != nil {
		c.server.o.Logger.Warn("render for the socket", "topic", m.Topic, "type", m.Type, "err", err)
	}
	if html != "" {
		if err := c.send(outgoing{Topic: m.Topic, Seq: m.Seq, Type: "html", Data: html}); err != nil {
			return err
		}
	}
	return c.send(outgoing{Topic: m.Topic, Seq: m.Seq, Type: m.Type, Data: m.Data})
}

// read returns the client's next message. The connection limits the compressed size, this the rest.
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
	c.conn.EnableWriteCompression(len(body) >= compressFrom) // if the client supports it
	return c.conn.WriteMessage(websocket.TextMessage, body)
}

// ping sends a control frame, which the browser answers, and a message, which the page sees.
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
			_ = c.conn.Close() // ends the read, and so the rest
			return
		}
	}
}

func (c *socket) goodbye(code int, why string) {
	// The client may have gone.
	_ = c.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, why), time.Now().Add(time.Second))
	_ = c.conn.Close()
}
