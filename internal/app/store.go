package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/check"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/transfer"
)

// database is the configured one, with no URL for SQLite.
func database(cfg config.Config) db.Options {
	return db.Options{URL: cfg.Database.ConnString(), MaxConns: cfg.Database.MaxConnections, ConnectTimeout: cfg.Database.ConnectTimeout, Timeout: cfg.Database.Timeout}
}

func (a *App) database() db.Options {
	o := database(a.cfg)
	o.Login, o.Wrote = a.secrets.databaseLogin(), a.metrics.Wrote
	return o
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// tellEvery is how often a copy says how far it is with a long table.
const tellEvery = 5 * time.Second

// CopyStore copies a console's data between a data folder with SQLite and the configured PostgreSQL database, which is "".
func CopyStore(ctx context.Context, cfg config.Config, from, to string, tell func(string)) (fmt.Stringer, error) {
	cfg, secrets, err := readSecrets(ctx, cfg, quiet())
	if err != nil {
		return nil, err
	}
	defer secrets.close(ctx)
	if cfg.Database.URL == "" {
		return nil, fault.Usage("no PostgreSQL database is named", "give its URL with --from or --to, or set database.url (COTRAIN_DATABASE_URL)")
	}
	bucket, err := openBucket(cfg) // in which logs stay
	if err != nil {
		return nil, err
	}
	told := time.Now()
	copied, err := store.Copy(ctx, withArchive(side(cfg, from), bucket), withArchive(side(cfg, to), bucket), func(p transfer.Progress) {
		if !p.Done && time.Since(told) < tellEvery {
			return
		}
		told = time.Now()
		verb := "copied"
		if p.Verifying {
			verb = "compared"
		}
		tell(fmt.Sprintf("%s %d rows of %s", verb, p.Rows, p.Table))
	})
	if err != nil {
		return nil, startError(err)
	}
	return copied, nil
}

func side(cfg config.Config, folder string) store.Address {
	if folder != "" {
		return store.Address{Folder: folder}
	}
	return store.Address{Folder: cfg.DataDir, Database: database(cfg)}
}

// CheckStore checks the data of the configured console, and reports whether nothing is wrong.
func CheckStore(ctx context.Context, cfg config.Config, repair bool) (report fmt.Stringer, clean bool, err error) {
	cfg, secrets, err := readSecrets(ctx, cfg, quiet())
	if err != nil {
		return nil, false, err
	}
	defer secrets.close(ctx)
	bucket, err := openBucket(cfg)
	if err != nil {
		return nil, false, err
	}
	in, err := store.Inspect(ctx, withArchive(side(cfg, ""), bucket), repair)
	if err != nil {
		return nil, false, startError(err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	r, err := check.Run(ctx, in, repair)
	if err != nil {
		return nil, false, err
	}
	return r, r.Clean(), nil
}
