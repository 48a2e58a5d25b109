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
	// ownerCheck is how often the lock's connection is tried, ownerRetry the pause before it is made again.
	ownerCheck = 5 * time.Second
	ownerRetry = time.Second
)

// ErrInUse means that another console has the database.
var ErrInUse = errors.New("in use by another console")

// errGone means that another console has had the database since this one claimed it.
var errGone = errors.New("taken by another console")

// owner keeps other consoles from the database for as long as its connection lives: two would follow the same logs and
// send the same runs. The server frees the lock however the console ends.
type owner struct {
	cfg     *pgx.ConnConfig
	logIn   func(context.Context, *pgx.ConnConfig) error
	wait    time.Duration // for one answer
	where   string
	conn    *pgx.Conn
	token   string // who had the database last
	claimed bool
	lost    atomic.Pointer[fault.Error] // why nothing must be written; nil while the lock is held
	gone    chan error                  // receives why it can never be had again
	end     context.CancelFunc
	done    sync.WaitGroup
}

func own(ctx context.Context, cfg *pgx.ConnConfig, logIn func(context.Context, *pgx.ConnConfig) error, where string, wait time.Duration) (*owner, error) {
	cfg = cfg.Copy()
	cfg.RuntimeParams["idle_session_timeout"] = "0"
	w := &owner{cfg: cfg, logIn: logIn, wait: wait, where: where, token: rand.Text(), gone: make(chan error, 1)}
	limit := time.Now().Add(ownerPatience)
	for {
		err := w.lock(ctx)
		switch {
		case err == nil:
			return w, nil
		case !errors.Is(err, ErrInUse):
			return nil, fmt.Errorf("database %s: %w", where, MapError(err))
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

func (w *owner) connect(ctx context.Context) (*pgx.Conn, error) {
	cfg := w.cfg.Copy()
	if err := w.logIn(ctx, cfg); err != nil {
		return nil, err
	}
	return pgx.ConnectConfig(ctx, cfg)
}

// lock takes the lock on a new connection. It returns [ErrInUse] while another session has it, which may be our own that
// broke, until the server notices.
func (w *owner) lock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.wait)
	defer cancel()
	conn, err := w.connect(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if w.conn != conn {
			_ = conn.Close(ctx) // frees what it has
		}
	}()
	var ok bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, ownerKey).Scan(&ok); err != nil {
		return err
	}
	if w.claimed { // asked after the lock was taken, so that whoever had it meanwhile has written
		var last string
		if err := conn.QueryRow(ctx, `SELECT token FROM console`).Scan(&last); err != nil {
			return err
		}
		if last != w.token {
			return errGone
		}
	}
	if !ok {
		return ErrInUse
	}
	w.conn = conn
	return nil
}

// taken says who has the database.
func (w *owner) taken(ctx context.Context) error {
	who := "another console"
	if conn, err := w.connect(ctx); err == nil {
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
	limit, cancel := context.WithTimeout(ctx, w.wait)
	defer cancel()
	if _, err := w.conn.Exec(limit, `INSERT INTO console (id, token) VALUES (0, $1) ON CONFLICT (id) DO UPDATE SET token = excluded.token`, w.token); err != nil {
		return MapError(err)
	}
	w.claimed = true
	ctx, w.end = context.WithCancel(context.WithoutCancel(ctx))
	w.done.Go(func() { w.watch(ctx) })
	return nil
}

// watch notices at once when the connection breaks, and takes the lock again, unless another console was faster.
func (w *owner) watch(ctx context.Context) {
	for ctx.Err() == nil {
		if w.lost.Load() == nil && w.alive(ctx) || ctx.Err() != nil {
			continue
		}
		w.lost.Store(fault.New(fault.ErrStoreUnavailable, fmt.Sprintf("The connection to the PostgreSQL database %s is lost.", w.where), "The console connects again as soon as it can."))
		_ = w.conn.Close(ctx) // broken
		switch err := w.lock(ctx); {
		case err == nil:
			w.lost.Store(nil)
		case errors.Is(err, errGone):
			what, fix := fmt.Sprintf("Another console has taken the database %s while this one could not reach it.", w.where), "Start this one again when that one has stopped."
			w.lost.Store(fault.New(fault.ErrStoreUnavailable, what, fix))
			w.gone <- fault.New(fault.ErrInUse, what, fix).Because(ErrInUse)
			return
		default:
			select {
			case <-ctx.Done():
			case <-time.After(ownerRetry):
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

func (w *owner) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), w.wait)
	defer cancel()
	if w.end != nil {
		w.end()
	}
	w.done.Wait()
	return w.conn.Close(ctx)
}
