package reftrain

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// saves reports whether this worker writes checkpoints: every DiLoCo worker does, and else worker 0 for all.
func (t *trainer) saves() bool {
	return t.cfg.Ckpt.Path != nil && (t.cfg.DiLoCo != nil || t.world.rank == 0)
}

// save writes the checkpoint of an outer step together with the other workers.
func (t *trainer) save(ctx context.Context) error {
	if !t.saves() {
		return nil
	}
	err := t.write(func() error {
		if t.cfg.DiLoCo == nil || t.world.rank > 0 {
			return nil
		}
		return t.mesh.saved(ctx, t.s.Step)
	})
	if err != nil {
		return err
	}
	if t.world.rank > 0 {
		return t.mesh.saved(ctx, t.s.Step)
	}
	if k := t.cfg.Ckpt.TopK; k != nil {
		gone, err := deleteBeyond(*t.cfg.Ckpt.Path, *k)
		if err != nil {
			return err
		}
		if len(gone) > 0 {
			t.log.info("Deleted %s checkpoints", pyList(gone))
		}
	}
	if r := t.cfg.Ckpt.Remote; r != nil && t.s.Step%int64(r.Interval) == 0 {
		t.push(t.stepDir(), filepath.Join(strings.TrimPrefix(r.Path, "file://"), filepath.Base(t.stepDir())), r.Path)
	}
	return nil
}

func (t *trainer) stepDir() string {
	return filepath.Join(*t.cfg.Ckpt.Path, "step_"+strconv.FormatInt(t.s.Step, 10))
}

// write saves this worker's part. beforeCommit runs between its files and the .metadata that completes it.
func (t *trainer) write(beforeCommit func() error) error {
	start := time.Now()
	dir := workerDir(t.stepDir(), t.world.rank)
	md, err := writeShards(dir, t.modelID(), t.s)
	if err != nil {
		return err
	}
	if err := beforeCommit(); err != nil {
		return err
	}
	if err := md.commit(dir); err != nil {
		return err
	}
	seconds := time.Since(start).Seconds()
	// The step folder is what ckpt.resume takes, on every worker.
	t.log.info("Saved checkpoint to %s in %s seconds", t.stepDir(), pyFloat(seconds))
	return nil
}

// push copies a complete checkpoint to another folder. The name of the folder appears once everything is there.
func (t *trainer) push(from, to, remote string) {
	start := time.Now()
	t.log.info("start pushing %s to %s asynchronously", from, to)
	err := func() error {
		if strings.Contains(strings.TrimPrefix(remote, "file://"), "://") {
			return fmt.Errorf("the reference trainer pushes to folders only")
		}
		tmp := to + ".tmp"
		if err := os.RemoveAll(tmp); err != nil {
			return err
		}
		if err := os.CopyFS(tmp, os.DirFS(from)); err != nil {
			return err
		}
		if err := os.RemoveAll(to); err != nil {
			return err
		}
		return os.Rename(tmp, to)
	}()
	if err != nil {
		t.log.error("Error pushing %s to %s: %s", from, to, err)
	}
	t.log.info("finish pushing %s to %s in %s seconds", from, to, pyFloat(time.Since(start).Seconds()))
}
