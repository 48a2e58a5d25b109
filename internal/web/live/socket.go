package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gorilla/websocket"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/stream"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Limits of a socket beside those of package stream; a client that exceeds them is disconnected.
const (
	maxClientMessage = 8 << 10 // bytes
	maxSubscribes    = 100     // messages per socket
	silenceTimeout   = 70 * time.Second
	maxCloseReason   = 120 // bytes; 123 fit into the frame
)

// closeNotAllowed is the code with which a socket is closed whose topics its viewer may not follow, or no longer. The page then
// reloads itself.
const closeNotAllowed = 4403

// subscribeMessage is a client's only message: the topics it wants from now on, each with the last sequence it has. A
// topic without one starts now. Page asks for rows and fragments, which are the console's own; User is whom the page was shown to.
type subscribeMessage struct {
	Sub   []string         `json:"sub"`
	Since stream.Positions `json:"since"`
	Page  bool             `json:"page"`
	User  access.UserID    `json:"user"`
}

// parseSubscribe checks a client's message; an error is [run.FieldErrors].
func parseSubscribe(b []byte) (topics stream.Positions, m subscribeMessage, err error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	err = dec.Decode(&m)
	if err == nil {
		if _, end := dec.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	if err != nil {
		return nil, m, run.FieldErrors{{Field: "message", Rule: "is not " + `{"sub":[...],"since":{...}}`, Fix: "see docs/stream.md"}}
	}
	topics, err = stream.Topics("sub", m.Sub, m.Since)
	return topics, m, err
}

// Connect upgrades the request. The socket is then served until either side ends it, or who asked may not follow its topics any
// more; not by the request's goroutine, which would keep its buffers and its deep stack, more than the socket itself needs.
func (s *Server) Connect(w http.ResponseWriter, r *http.Request) error {
	if !websocket.IsWebSocketUpgrade(r) {
		return fault.ErrNotSocket
	}
	v, err := s.o.Stream.Connect(context.WithoutCancel(r.Context()))
	if err != nil {
		return err
	}
	upgrader := websocket.Upgrader{
		ReadBufferSize: 1024, WriteBufferSize: 4096, WriteBufferPool: &s.buffers, EnableCompression: true,
		CheckOrigin: func(*http.Request) bool { return true },
		Error:       func(http.ResponseWriter, *http.Request, int, error) {}, // reported by our return value
	}
	wire := &cork{}
	conn, err := upgrader.Upgrade(corking{w, wire}, r, nil)
	if err != nil {
		v.Close()
		return fault.New(fault.ErrBadRequest, "The request does not open a WebSocket of version 13.", "").Because(err)
	}
	wire.upgraded = true
	c := &socket{server: s, conn: conn, wire: wire, viewer: v, user: access.From(r.Context()).User}
	go c.serve() // ends with the viewer, for which the stream's Close waits
	return nil
}

// socket is a live connection: its goroutine reads, that of the subscription writes.
type socket struct {
	server *Server
	conn   *websocket.Conn
	wire   *cork // of conn
	viewer *stream.Viewer
	user   access.UserID
}

func (c *socket) serve() {
	defer c.viewer.Close()
	defer context.AfterFunc(c.viewer.Context(), func() { // closing unblocks reads and writes
		c.goodbye(websocket.CloseGoingAway, "the console is stopping")
	})()
	if err := c.listen(); err != nil {
		c.server.o.Logger.Debug("socket ended", "err", err)
	}
}

// listen reads until the connection ends.
func (c *socket) listen() error {
	defer func() { _ = c.conn.Close() }() // may be closed already
	c.conn.SetReadLimit(maxClientMessage)
	alive := func(string) error { return c.conn.SetReadDeadline(time.Now().Add(silenceTimeout)) }
	c.conn.SetPongHandler(alive)
	end := func() {}
	defer func() { end() }()
	for n := 0; ; n++ {
		if err := alive(""); err != nil {
			return err
		}
		kind, body, err := c.read()
		if err != nil {
			return err
		}
		topics, m, err := parseSubscribe(body)
		if kind != websocket.TextMessage {
			err = run.FieldErrors{{Field: "message", Rule: "is binary", Fix: "send text"}}
		} else if n >= maxSubscribes {
			err = run.FieldErrors{{Field: "messages", Value: strconv.Itoa(n + 1), Rule: "must be at most " + strconv.Itoa(maxSubscribes), Fix: "connect again"}}
		}
		if err != nil {
			c.goodbye(websocket.ClosePolicyViolation, trainconf.AsFieldErrors(err).Error())
			return err
		}
		if m.User != "" && m.User != c.user {
			c.goodbye(closeNotAllowed, "another user is signed in")
			return stream.ErrNotAllowed
		}
		end() // the viewer is one subscription's at a time
		end = func() {}
		pump, err := c.viewer.Follow(topics)
		if err != nil {
			c.refuse(err)
			return err
		}
		end = c.subscribe(pump, &sink{server: c.server, conn: c.conn, wire: c.wire, page: m.Page})
	}
}

// subscribe starts to send, and returns a function that ends it and waits.
func (c *socket) subscribe(pump *stream.Pump, to *sink) func() {
	ctx, cancel := context.WithCancel(c.viewer.Context())
	done := make(chan struct{})
	go func() { // ends with the context; the caller waits
		defer close(done)
		if err := pump.Run(ctx, to); ctx.Err() == nil {
			c.server.o.Logger.Debug("socket cannot be written", "err", err)
			c.refuse(err) // ends the read
		}
	}()
	return func() { cancel(); <-done }
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

// refuse closes the socket for an error of its pump.
func (c *socket) refuse(err error) {
	if errors.Is(err, stream.ErrNotAllowed) {
		c.goodbye(closeNotAllowed, stream.WhyNot(err))
		return
	}
	c.goodbye(websocket.CloseInternalServerErr, "")
}

func (c *socket) goodbye(code int, why string) {
	// The client may have gone.
	_ = c.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, fault.Cut(why, maxCloseReason)), time.Now().Add(time.Second))
	_ = c.conn.Close()
}
