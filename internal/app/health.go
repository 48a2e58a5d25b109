package app

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/nomad"
)

// health tracks the console's dependencies and publishes changes.
type health struct {
	hub      *feed.Hub
	log      *slog.Logger
	postgres bool
	mu       sync.Mutex
	nomad    error
	store    error
	job      error            // why the job file is unusable
	archive  error            // why sealed blocks of logs cannot be written
	tls      error            // what is wrong with the certificate
	vault    map[string]error // what is wrong with the token, "", or a path
	consul   map[string]error // by what Consul is asked for

	earlierJob bool     // an earlier version is in use
	behind     []string // where the audit log is not forwarded to
}

func newHealth(hub *feed.Hub, log *slog.Logger, postgres bool) *health {
	return &health{hub: hub, log: log, postgres: postgres}
}

func (h *health) setNomad(err error) { h.set(func() { h.nomad = err }) }
func (h *health) setStore(err error) { h.set(func() { h.store = err }) }
func (h *health) setTLS(err error)   { h.set(func() { h.tls = err }) }

func (h *health) setArchive(err error) {
	h.set(func() { h.archive = err })
}

func (h *health) archiveOK() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.archive == nil
}

func (h *health) setJobFile(err error, earlier bool) {
	h.set(func() { h.job, h.earlierJob = err, earlier })
}

// setVault is told what is wrong with the log-in at Vault, "", or a path, and nil once it is right again.
func (h *health) setVault(what string, err error) {
	h.set(func() { h.vault = with(h.vault, what, err) })
}

// setConsul is told what is wrong with Consul, for one of the things that it is asked for, and nil once it is right again.
func (h *health) setConsul(what string, err error) {
	h.set(func() { h.consul = with(h.consul, what, err) })
}

// with is what is wrong, with or without one more thing.
func with(wrong map[string]error, what string, err error) map[string]error {
	now := map[string]error{}
	maps.Copy(now, wrong)
	delete(now, what)
	if err != nil {
		now[what] = err
	}
	return now
}

// first is the first thing that is wrong by name, nil for nothing.
func first(wrong map[string]error) error {
	if len(wrong) == 0 {
		return nil
	}
	return wrong[slices.Min(slices.Collect(maps.Keys(wrong)))]
}

// setForwarding is told why a destination of the audit log lags, and nil once it does not.
func (h *health) setForwarding(destination string, err error) {
	h.set(func() {
		h.behind = slices.DeleteFunc(slices.Clone(h.behind), func(d string) bool { return d == destination })
		if err != nil {
			h.behind = append(h.behind, destination)
		}
	})
}

func (h *health) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.now()
	change()
	now := h.now()
	if now == before {
		return
	}
	if now.Message != "" {
		others := slices.AppendSeq(slices.Collect(maps.Values(h.vault)), maps.Values(h.consul))
		h.log.Warn("not healthy", "nomad", now.Nomad, "store", now.Store, "err", errors.Join(append(others, h.nomad, h.store, h.archive, h.job, h.tls)...))
	} else {
		h.log.Info("healthy again")
	}
	h.hub.Publish(feed.SystemTopic, feed.SystemType, now)
}

// up is which dependencies work, of all that a console can have.
func (h *health) up() map[string]bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return map[string]bool{"nomad": h.nomad == nil, "store": h.store == nil, "archive": h.archive == nil, "vault": len(h.vault) == 0, "consul": len(h.consul) == 0}
}

func (h *health) system() feed.System {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now()
}

func (h *health) now() feed.System {
	s := feed.System{Nomad: "ok", Store: "ok"}
	if len(h.behind) > 0 {
		s.Message = "The audit log is not forwarded (" + strings.Join(h.behind, ", ") + "). Nothing is lost; the console keeps trying."
	}
	if err := first(h.vault); err != nil {
		s.Message = fault.Of(err).Text() + " The console goes on with the secrets that it has."
	}
	if err := first(h.consul); err != nil {
		s.Message = fault.Of(err).Text() + " The console goes on with the servers of Nomad that it knows."
	}
	if h.archive != nil {
		s.Message = fault.Of(h.archive).Text() + " No line is lost: logs wait in the database until their archive takes them; those that are in it cannot be read meanwhile."
	}
	if h.tls != nil {
		s.Message = "TLS: " + h.tls.Error() + "."
	}
	if h.job != nil {
		s.Message = fault.Of(h.job).What + " No run can start until it is corrected."
		if h.earlierJob {
			s.Message = fault.Of(h.job).What + " Runs start with its last usable version."
		}
	}
	if h.store != nil {
		s.Store = "failing"
		s.Message = "The console cannot write its data folder; what runs goes on, and its logs are read once there is room again."
		if h.postgres {
			what := "The console cannot write its PostgreSQL database."
			if errors.Is(h.store, fault.ErrStoreUnavailable) {
				what = fault.Of(h.store).What
			}
			s.Message = what + " What runs goes on, and its logs are read once the database can be written."
		}
		if errors.Is(h.store, fault.ErrFull) {
			s.Message = fault.Of(h.store).Text() + " What runs goes on; of its output only what Nomad keeps can be read then."
		}
	}
	if h.nomad != nil {
		s.Nomad = "unreachable"
		s.Message = "Nomad is not reachable; what you see may be old. The console keeps trying and will catch up."
		if f := (*fault.Error)(nil); errors.As(h.nomad, &f) && f.Kind == fault.ErrNomadUnreachable {
			s.Message = f.Text() + " What you see may be old."
		}
		if errors.Is(h.nomad, nomad.ErrDenied) {
			s.Message = "Nomad refuses the console's token. Check NOMAD_TOKEN, and that its policy allows what the README lists."
		}
	}
	return s
}
