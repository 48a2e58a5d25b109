package stream

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/cotrain/cotrain/internal/feed"
)

// Path is where topics are followed as Server-Sent Events.
const Path = "/api/v1/stream"

// What a browser waits before it connects again, in milliseconds: each is told another time, so that they do not come back in step.
const (
	retryLeast  = 1000
	retrySpread = 2000
)

// flushFrom is how many bytes of events wait for each other.
const flushFrom = 32 << 10

// SubscribedType is the type of the message that confirms a subscription; its data are the positions from which the topics
// are followed.
const SubscribedType = "subscribed"

// Serve sends topics as Server-Sent Events until the client goes, the console stops or the viewer may follow them no more. An
// error is why it has sent nothing.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request, topics Positions) error {
	v, err := s.Connect(r.Context())
	if err != nil {
		return err
	}
	defer v.Close()
	pump, err := v.Follow(topics)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // of nginx
	if r.Method == http.MethodHead {
		return nil
	}
	e := &events{w: w, c: http.NewResponseController(w), topics: slices.Sorted(maps.Keys(topics))}
	_ = e.c.SetReadDeadline(time.Time{}) // which also ends the request; in-memory connections have none
	err = pump.Run(v.ctx, e)
	s.o.Logger.DebugContext(r.Context(), "event stream ended", "err", err)
	return nil
}

// events is the sink of an event stream.
type events struct {
	w      http.ResponseWriter
	c      *http.ResponseController
	topics []string // sorted
	buf    []byte   // of events that wait for Flush
}

// Begin sends the positions, which are the event's ID, too.
func (e *events) Begin(at Positions) error {
	body, err := json.Marshal(outline{Type: SubscribedType, Data: at})
	if err != nil {
		return err
	}
	e.buf = append(e.buf, "retry: "...)
	e.buf = strconv.AppendInt(e.buf, retryLeast+time.Now().UnixNano()/1000%retrySpread, 10)
	e.buf = append(e.buf, '\n')
	e.id(at, feed.Message{})
	e.buf = append(append(e.buf, "event: "+SubscribedType+"\ndata: "...), body...)
	e.buf = append(e.buf, "\n\n"...)
	return nil
}

// outline is a message of this package's own.
type outline struct {
	Type string    `json:"type"`
	Data Positions `json:"data"`
}

// Send sends each message as an event with the positions after it.
func (e *events) Send(_ context.Context, ms []feed.Message, at Positions) error {
	for _, m := range ms {
		body, err := m.In(feed.Event, func(m feed.Message) (any, error) {
			body, err := json.Marshal(m)
			return append(append([]byte("event: "+m.Type+"\ndata: "), body...), "\n\n"...), err
		})
		if err != nil {
			return err
		}
		e.id(at, m)
		e.buf = append(e.buf, body.([]byte)...)
		if len(e.buf) >= flushFrom {
			if err := e.Flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Beat is a comment, with an ID that counts without an event.
func (e *events) Beat(at Positions) error {
	e.buf = append(e.buf, ": beat\n"...)
	e.id(at, feed.Message{})
	e.buf = append(e.buf, '\n')
	return nil
}

// id appends the line with the positions after m: that of its topic is its own.
func (e *events) id(at Positions, m feed.Message) {
	e.buf = append(e.buf, "id: "...)
	for i, topic := range e.topics {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		seq := at[topic]
		if topic == m.Topic {
			seq = m.Seq
		}
		e.buf = append(append(e.buf, topic...), '=')
		e.buf = strconv.AppendInt(e.buf, seq, 10)
	}
	e.buf = append(e.buf, '\n')
}

// Flush sends the events together.
func (e *events) Flush() error {
	if len(e.buf) == 0 {
		return nil
	}
	_ = e.c.SetWriteDeadline(time.Now().Add(WriteTimeout)) // in-memory connections have none
	if _, err := e.w.Write(e.buf); err != nil {
		return err
	}
	if e.buf = e.buf[:0]; cap(e.buf) > 2*flushFrom {
		e.buf = nil // of a long event
	}
	return e.c.Flush()
}
