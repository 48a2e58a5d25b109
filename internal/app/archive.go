package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/s3"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/check"
)

// openBucket is the S3 store of logs, nil where they are in the data folder. Nothing is asked of it.
func openBucket(cfg config.Config) (*s3.Bucket, error) {
	l := cfg.Logs
	if l.S3Bucket == "" {
		return nil, nil //nolint:nilnil // as documented
	}
	return s3.New(s3.Config{
		Endpoint: l.S3Endpoint, Region: l.S3Region, Bucket: l.S3Bucket, Prefix: l.S3Prefix, Addressing: l.S3Addressing, CACert: l.S3CACert, ClientCert: l.S3ClientCert,
		ClientKey: l.S3ClientKey, ServerName: l.S3TLSServerName, AccessKey: string(l.S3AccessKey), SecretKey: string(l.S3SecretKey), Timeout: l.S3Timeout,
	})
}

// withArchive adds to an address where its logs are.
func withArchive(a store.Address, bucket *s3.Bucket) store.Address {
	if bucket != nil {
		a.Archive = bucket
	}
	return a
}

// openStore opens the console's memory. An S3 store that refuses what is configured keeps it from starting; one that does not answer does
// not: logs wait in the database.
func (a *App) openStore(ctx context.Context) error {
	bucket, err := openBucket(a.cfg)
	if err != nil {
		return err
	}
	if bucket != nil {
		if err := bucket.Check(ctx); s3.Refused(err) || err != nil && ctx.Err() != nil {
			return errors.Join(err, bucket.Close())
		} else if err != nil {
			a.health.setArchive(err)
		}
		a.secrets.bucket = bucket
	}
	a.store, err = store.OpenAddress(ctx, withArchive(store.Address{Folder: a.cfg.DataDir, Database: a.database()}, bucket))
	if err != nil {
		if bucket != nil {
			err = errors.Join(err, bucket.Close())
		}
		return err
	}
	a.store.Lost = func(id run.ID, blob, how string) {
		a.log.Warn("a block of the archive of logs cannot be read, its lines are lost; cotrain logs verify finds all such blocks", "part", "store", "run", id, "block", blob, "it", how)
	}
	a.acquired("store", func(context.Context) error { return a.store.Close() })
	a.log.Info("database", "part", "store", "is", a.store.Database(), "logs", a.store.Archive())
	if missing, err := a.store.LacksOldLogs(ctx); err == nil && missing { // else health tells
		a.log.Warn("older logs are not in the archive that is configured; copy them with: cotrain logs migrate", "part", "store", "archive", a.store.Archive())
	}
	return nil
}

// logLimits are those of all logs and of projects, as they are set now.
func (a *App) logLimits() (out []run.LogLimit) {
	if l := (run.LogLimit{Age: a.cfg.Logs.Retention, Bytes: a.cfg.Logs.MaxBytes}); l.Any() {
		out = append(out, l)
	}
	for _, name := range a.logIns.ProjectNames(a.ctx) {
		set := a.logIns.Settings(name).Logs
		if l := (run.LogLimit{Project: name, Age: time.Duration(set.Retention) * time.Second, Bytes: set.MaxBytes}); l.Any() {
			out = append(out, l)
		}
	}
	return out
}

// archiveCheck is how often an archive that failed is tried again; sealing, which does so too, may have nothing to do.
const archiveCheck = 15 * time.Second

// watchArchive notices that the archive of logs answers again.
func (a *App) watchArchive(ctx context.Context) error {
	tick := time.NewTicker(archiveCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		a.checkArchive(ctx)
	}
}

// checkArchive tries an archive that failed.
func (a *App) checkArchive(ctx context.Context) {
	if a.health.archiveOK() {
		return
	}
	if err := a.store.CheckArchive(ctx); ctx.Err() == nil {
		a.health.setArchive(err)
	}
}

// VerifyLogs reads all sealed blocks of the configured console's logs, and reports whether nothing is wrong.
func VerifyLogs(ctx context.Context, cfg config.Config, tell func(string)) (report fmt.Stringer, clean bool, err error) {
	in, done, err := inspectLogs(ctx, cfg)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, done()) }()
	every := pacer(tell)
	r, err := check.Logs(ctx, in, func(blocks int) { every(func() string { return fmt.Sprintf("%d blocks", blocks) }) })
	if err != nil {
		return nil, false, err
	}
	return r, r.Clean(), nil
}

func inspectLogs(ctx context.Context, cfg config.Config) (in *store.Inspection, done func() error, err error) {
	cfg, secrets, err := readSecrets(ctx, cfg, quiet())
	if err != nil {
		return nil, nil, err
	}
	closeAll := func() error { secrets.close(ctx); return nil }
	bucket, err := openBucket(cfg)
	if err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	if in, err = store.Inspect(ctx, withArchive(side(cfg, ""), bucket), false); err != nil {
		if bucket != nil {
			err = errors.Join(err, bucket.Close())
		}
		return nil, nil, errors.Join(startError(err), closeAll())
	}
	return in, func() error { return errors.Join(in.Close(), closeAll()) }, nil
}

// MigrateLogs copies the sealed blocks of logs between the data folder and the configured S3 store, and reports whether all are there.
func MigrateLogs(ctx context.Context, cfg config.Config, back, remove bool, tell func(string)) (report fmt.Stringer, clean bool, err error) {
	cfg, secrets, err := readSecrets(ctx, cfg, quiet())
	if err != nil {
		return nil, false, err
	}
	defer secrets.close(ctx)
	bucket, err := openBucket(cfg)
	if err != nil {
		return nil, false, err
	}
	if bucket == nil {
		return nil, false, fault.Usage("no S3 store is configured", "set logs.s3_bucket (COTRAIN_LOGS_S3_BUCKET) and its neighbours, also to copy back from there")
	}
	if err := bucket.Check(ctx); err != nil {
		return nil, false, errors.Join(err, bucket.Close())
	}
	every := pacer(tell)
	m, err := store.MigrateLogs(ctx, withArchive(side(cfg, ""), bucket), back, remove, func(c store.LogsCopied) {
		every(func() string { return fmt.Sprintf("%d blocks, %d copied", c.Blocks, c.Copied) })
	})
	if err != nil {
		return nil, false, startError(err)
	}
	return m, m.Clean(), nil
}

// pacer tells how far something is, from time to time.
func pacer(tell func(string)) func(func() string) {
	told := time.Now()
	return func(text func() string) {
		if time.Since(told) >= tellEvery {
			told = time.Now()
			tell(text())
		}
	}
}
