package api

import (
	"context"
	"errors"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/logfile"
	"github.com/cotrain/cotrain/internal/run"
)

// logFilePattern is a route whose work is not bounded by [answerTimeout].
const logFilePattern = "GET /api/v1/runs/{id}/logs/file"

type logFileInput struct {
	ID string `path:"id" doc:"ID of the run, such as r-0123456789"`
	client.LogFile
}

// sendLog sends lines of a run's log as a file. It takes as long as the reader goes on reading; an error in the middle cuts the connection.
func (s *server) sendLog(ctx context.Context, in *logFileInput) (*huma.StreamResponse, error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	f, err := logfile.Parse(in.Values())
	var bad run.FieldErrors
	if errors.As(err, &bad) {
		return nil, invalid("query", bad...)
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		req, w := humago.Unwrap(hc)
		if err := f.Serve(w, req, s.Details, r.ID); err != nil {
			s.problem(ctx, "send-log", err).write(w)
		}
	}}, nil
}
