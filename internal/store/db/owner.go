package db

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cotrain/cotrain/internal/fault"
)

const (
	// ownerKey is the key of the advisory lock that the console of a database holds: "cotrain" in ASCII.
	ownerKey = 0x636f747261696e
	// ownerPatience is how long a starting console waits for one that is stopping.
	ownerPatience = 5 * time.Second
	// ownerCheck is how often the lock's connection is tried, and made again.
	ownerCheck = 5 * time.Second
)

// ErrInUse means that another console has the database.
var ErrInUse = errors.New("in use by another console")

// owner keeps other consoles from the database for as long as its connection lives: two would follow the same logs and
// send the same runs. The server frees the lock however the console ends.
type owner struct {
	cfg   *pgx.ConnConfig
	wait  time.Duration // for one answer
	conn  *pgx.Conn
	token string // who had the database last
	held  atomic.Bool
	gone  chan error // receives why it can never be had again
	end   context.CancelFunc
	done  sync.WaitGroup
}

func own(ctx context.Context, cfg *pgx.ConnConfig, o Options) (*owner, error) {
	cfg = cfg.Copy()
	cfg.RuntimeParams["idle_session_timeout"] = "0"
	w := &owner{cfg: cfg, wait: o.Timeout, token: rand.Text(), gone: make(chan error, 1)}
	limit := time.Now().Add(ownerPatience)
	for {
		ok, err := w.lock(ctx)
		switch {
		case err != nil:
			return nil, MapError(err)
		case ok:
			return w, nil
		case time.Now().After(limit):
			return nil, w.taken(ctx)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(ownerPatience / 20):
		}
	}
}

// lock tries to take the lock on a new connection.
func (w *owner) lock(ctx context.Context) (ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.wait)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, w.cfg)
	if err != nil {
		return false, err
	}
	if err = conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, ownerKey).Scan(&ok); err != nil || !ok {
		return false, errors.Join(err, conn.Close(ctx))
	}
	w.conn = conn
	w.held.Store(true)
	return true, nil
}

// taken says who has the database.
func (w *owner) taken(ctx context.Context) error {
	who := "another console"
	if conn, err := pgx.ConnectConfig(ctx, w.cfg); err == nil {
		var name string
		var since time.Time
		const q = `SELECT a.application_name, a.backend_start FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
			WHERE l.locktype = 'advisory' AND l.granted AND l.classid = ($1::bigint >> 32)::oid AND l.objid = ($1::bigint & 4294967295)::oid
			AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`
		if conn.QueryRow(ctx, q, ownerKey).Scan(&name, &since) == nil {
			who = fmt.Sprintf("%s, connected since %s,", name, since.UTC().Format(time.RFC3339))
		}
		_ = conn.Close(ctx) // its answer is there
	}
	return fault.New(fault.ErrInUse, fmt.Sprintf("The database is in use: %s has it.", who),
		"Stop that console, or wait if it is still starting, stopping or migrating; or give this one another database (database.url).").Because(ErrInUse)
}

// claim writes down who has the database, and watches the lock until stop.
func (w *owner) claim(ctx context.Context) error {
	if _, err := w.conn.Exec(ctx, `INSERT INTO console (id, token) VALUES (0, $1) ON CONFLICT (id) DO UPDATE SET token = excluded.token`, w.token); err != nil {
		return MapError(err)
	}
	ctx, w.end = context.WithCancel(context.WithoutCancel(ctx))
	w.done.Go(func() { w.watch(ctx) })
	return nil
}

// watch notices at once when the connection breaks, and takes the lock again, unless another console was faster.
func (w *owner) watch(ctx context.Context) {
	for ctx.Err() == nil {
		if w.held.Load() && w.alive(ctx) {
			continue
		}
		if ctx.Err() != nil {
			return
		}
		w.held.Store(false)
		_ = w.conn.Close(ctx) // broken
		if err := w.again(ctx); err != nil {
			w.gone <- err
			return
		}
		if !w.held.Load() {
			select {
			case <-ctx.Done():
			case <-time.After(ownerCheck / 5):
			}
		}
	}
}

// alive waits a while for the connection to break.
func (w *owner) alive(ctx context.Context) bool {
	quiet, cancel := context.WithTimeout(ctx, ownerCheck)
	defer cancel()
	if _, err := w.conn.WaitForNotification(quiet); err != nil && quiet.Err() == nil {
		return false
	}
	if ctx.Err() != nil {
		return true
	}
	limit, cancel := context.WithTimeout(ctx, w.wait)
	defer cancel()
	return w.conn.Ping(limit) == nil
}

// again tries to take the lock again. Its error is that another console has had the database meanwhile; else the next try
// may succeed: our own session can live on at the server until that notices.
func (w *owner) again(ctx context.Context) error {
	limit, cancel := context.WithTimeout(ctx, w.wait)
	defer cancel()
	conn, err := pgx.ConnectConfig(limit, w.cfg)
	if err != nil {
		return nil
	}
	var last string
	var ok bool
	err = conn.QueryRow(limit, `SELECT token, pg_try_advisory_lock($1) FROM console`, ownerKey).Scan(&last, &ok)
	if err != nil || !ok || last != w.token {
		_ = conn.Close(limit) // frees what it has
	}
	if err == nil && last != w.token {
		return fault.New(fault.ErrInUse, "Another console has taken the database while this one could not reach it.", "Start this one again when that one has stopped.").Because(ErrInUse)
	}
	if err == nil && ok {
		w.conn = conn
		w.held.Store(true)
	}
	return nil
}

func (w *owner) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), w.wait)
	defer cancel()
	if w.end != nil {
		w.end()
	}
	w.done.Wait()
	w.held.Store(false)
	return w.conn.Close(ctx)
}
