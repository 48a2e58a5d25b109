// Package live keeps pages current, over a socket with the feed's states, rows and fragments. Programs use it without the
// latter two.
package live

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/stream"
)

// Runs reads what messages lack.
type Runs interface {
	Run(ctx context.Context, id run.ID) (run.Run, error)
	// SetQueuePlaces fills in the queue places of waiting runs.
	SetQueuePlaces(ctx context.Context, runs []run.Run) error
}

// Options configures [New]; only Base may be empty.
type Options struct {
	Runs   Runs
	Stream *stream.Server
	Base   string // path of the public URL, for links in fragments
	Now    func() time.Time
	Logger *slog.Logger
}

// Server opens sockets.
type Server struct {
	o         Options
	fragments *fragmentCache
	buffers   sync.Pool // of what sockets write
}

// New returns a Server. Its sockets end with the stream's.
func New(o Options) *Server { return &Server{o: o, fragments: newFragmentCache()} }
