package reftrain

import (
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

// save writes the checkpoint of an outer step. As in the core nobody waits for the other workers: each speaks for itself.
func (t *trainer) save() error {
	if !t.saves() {
		return nil
	}
	if err := t.write(); err != nil || t.world.rank > 0 {
		return err
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

// write saves this worker's part.
func (t *trainer) write() error {
	start := time.Now()
	if err := writeCheckpoint(workerDir(t.stepDir(), t.world.rank), t.modelID(), t.s, t.processes); err != nil {
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
