package live

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gorilla/websocket"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/stream"
)

// compressFrom is a size in bytes; shorter messages are faster uncompressed.
const compressFrom = 1 << 10

// frame is a message as all sockets send it, encoded and compressed once.
type frame struct {
	*websocket.PreparedMessage
	long bool
}

// sink writes a subscription's messages.
type sink struct {
	server *Server
	conn   *websocket.Conn
	wire   *cork // of conn
	page   bool  // with rows and fragments
}

// outgoing is a message that is not the feed's.
type outgoing struct {
	Topic string `json:"topic,omitempty"`
	Seq   int64  `json:"seq,omitempty"`
	Type  string `json:"type"`
	Data  any    `json:"data,omitempty"`
}

func newFrame(m any) (any, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode for the socket: %w", err)
	}
	prepared, err := websocket.NewPreparedMessage(websocket.TextMessage, body)
	return &frame{prepared, len(body) >= compressFrom}, err
}

func (s *sink) write(f any, err error) error {
	if err != nil {
		return err
	}
	s.conn.EnableWriteCompression(f.(*frame).long) // if the client supports it
	return s.conn.WritePreparedMessage(f.(*frame).PreparedMessage)
}

// Flush sends what was written.
func (s *sink) Flush() error { return s.wire.Flush() }

// Begin confirms the subscription.
func (s *sink) Begin(at stream.Positions) error {
	return s.write(newFrame(outgoing{Type: stream.SubscribedType, Data: at}))
}

// Beat sends a control frame, which browsers answer, and a message, which the page sees.
func (s *sink) Beat(stream.Positions) error {
	if err := s.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(stream.WriteTimeout)); err != nil {
		return err
	}
	return s.write(newFrame(outgoing{Type: "ping"}))
}

// Send sends messages, to a page with their fragments or as rows.
func (s *sink) Send(ctx context.Context, ms []feed.Message, _ stream.Positions) error {
	if s.page && stream.HasManyRuns(ms[0].Topic) && ms[0].Type == feed.State {
		rows, err := s.server.rowsOf(ctx, ms)
		if err != nil {
			s.server.o.Logger.Warn("rows for the socket", "topic", ms[0].Topic, "err", err)
			return nil
		}
		return s.write(newFrame(rows))
	}
	for _, m := range ms {
		if s.page {
			if err := s.sendFragment(ctx, m); err != nil {
				return err
			}
		}
		if err := s.write(m.In(feed.Frame, func(m feed.Message) (any, error) { return newFrame(m) })); err != nil {
			return err
		}
	}
	return nil
}

// sendFragment sends what a message changes on the page, if anything.
func (s *sink) sendFragment(ctx context.Context, m feed.Message) error {
	f, err := s.server.fragment(ctx, m)
	if err != nil {
		s.server.o.Logger.Warn("render for the socket", "topic", m.Topic, "type", m.Type, "err", err)
	}
	if f == nil {
		return nil
	}
	return s.write(f, nil)
}
