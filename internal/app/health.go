package app

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/nomad"
)

// health remembers whether what the console depends on works, and tells viewers when that changes.
type health struct {
	hub   *feed.Hub
	log   *slog.Logger
	mu    sync.Mutex
	nomad error
	store error
	job   error // why the job file cannot be used
}

func newHealth(hub *feed.Hub, log *slog.Logger) *health { return &health{hub: hub, log: log} }

func (h *health) setNomad(err error) { h.set(&h.nomad, err) }
func (h *health) setStore(err error) { h.set(&h.store, err) }

func (h *health) setJobFile(err error, earlier bool) {
	switch {
	case err == nil:
	case earlier:
		err = fmt.Errorf("Runs start with the last usable version of the job file: %w", err) //nolint:staticcheck // a sentence for viewers
	default:
		err = fmt.Errorf("Runs wait until the job file can be used: %w", err) //nolint:staticcheck // as above
	}
	h.set(&h.job, err)
}

func (h *health) set(field *error, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.now()
	*field = err
	now := h.now()
	if now == before {
		return
	}
	if now.Message != "" {
		h.log.Warn("not healthy", "nomad", now.Nomad, "store", now.Store, "err", errors.Join(h.nomad, h.store, h.job))
	} else {
		h.log.Info("healthy again")
	}
	h.hub.Publish(feed.SystemTopic, feed.SystemType, now)
}

// system is the present state.
func (h *health) system() feed.System {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now()
}

func (h *health) now() feed.System {
	s := feed.System{Nomad: "ok", Store: "ok"}
	if h.job != nil {
		s.Message = h.job.Error()
	}
	if h.store != nil {
		s.Store = "failing"
		s.Message = "The console cannot write its data folder; what runs goes on, and its logs are read once there is room again."
	}
	if h.nomad != nil {
		s.Nomad = "unreachable"
		s.Message = "Nomad is not reachable; what you see may be old. The console keeps trying and will catch up."
		if errors.Is(h.nomad, nomad.ErrDenied) {
			s.Message = "Nomad refuses the console's token. Check NOMAD_TOKEN, and that its policy allows what the README lists."
		}
	}
	return s
}
