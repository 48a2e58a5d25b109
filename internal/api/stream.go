package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/stream"
)

// Stream sends topics as Server-Sent Events.
type Stream interface {
	// Serve returns when the client has gone or may follow the topics no more; an error is why it has sent nothing.
	Serve(w http.ResponseWriter, r *http.Request, topics stream.Positions) error
}

// streamPattern is a route whose work is not bounded by [answerTimeout].
const streamPattern = "GET " + stream.Path

// streamType is the media type of Server-Sent Events.
const streamType = "text/event-stream"

// stream follows topics until the client goes.
func (s *server) stream(_ context.Context, in *client.StreamQuery) (*huma.StreamResponse, error) {
	location, name, text := "query", "since", in.Since
	if in.LastEventID != "" { // of a client that came back to the same address
		location, name, text = "header", "Last-Event-ID", in.LastEventID
	}
	since, err := stream.ParsePositions(name, text)
	topics := stream.Positions{}
	if err == nil {
		location = "query"
		topics, err = stream.Topics("topics", in.Topics, since)
	}
	if fields := (run.FieldErrors)(nil); errors.As(err, &fields) {
		return nil, invalid(location, fields...)
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		if err := s.Stream.Serve(w, r, topics); err != nil {
			s.problem(r.Context(), "stream", err).write(w)
		}
	}}, err
}
