package probe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/nvidia"
)

const (
	// diskBytes and diskTime bound what is written to a folder, and read from it.
	diskBytes = 128 << 20
	diskTime  = 3 * time.Second
	diskBlock = 1 << 20
	// diskLeast is what must be free: a disk is not filled up to measure it.
	diskLeast = 1 << 30
)

// facts measures the node: a folder of its disk, one of shared storage ("" for none), memory and GPUs.
func facts(ctx context.Context, folder, storage string, tool nvidia.Tool) measure.Facts {
	f := measure.Facts{Disk: disk(ctx, folder)}
	if storage != "" {
		f.Storage = new(disk(ctx, storage))
	}
	f.MemoryTotal, f.MemoryAvailable = memory()
	gpus, err := tool.Health(ctx)
	if err != nil && !errors.Is(err, nvidia.ErrNone) {
		f.GPUError = err.Error()
	}
	for _, g := range gpus {
		f.GPUs = append(f.GPUs, measure.GPUHealth{ID: g.ID, Model: g.Model, Memory: int64(g.MemoryMiB) << 20, Temperature: g.Temperature, Problems: g.Problems})
	}
	return f
}

func disk(ctx context.Context, folder string) measure.Disk {
	var d measure.Disk
	var fs syscall.Statfs_t
	if err := syscall.Statfs(folder, &fs); err != nil {
		d.Error = plain(err)
		return d
	}
	d.Free, d.Total = int64(fs.Bavail)*int64(fs.Bsize), int64(fs.Blocks)*int64(fs.Bsize) //nolint:gosec,unconvert // differs by system
	if d.Free < diskLeast {
		d.Error = fmt.Sprintf("less than %d MiB are free, so it was not tried", diskLeast>>20)
		return d
	}
	var err error
	if d.Write, d.Read, err = tryDisk(ctx, folder); err != nil {
		d.Error = plain(err)
	}
	return d
}

// tryDisk writes a file until it is on the disk, and reads it past the cache. It has no name after a moment, so that nothing is left
// of it, however this ends.
func tryDisk(ctx context.Context, folder string) (write, read float64, err error) {
	file, err := os.CreateTemp(folder, ".cotrain-measure-")
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = file.Close() }() // gone with its content
	if err := os.Remove(filepath.Join(folder, filepath.Base(file.Name()))); err != nil {
		return 0, 0, err
	}
	block := make([]byte, diskBlock)
	for at := 0; at < len(block); at += chunk {
		copy(block[at:], noise()[4:])
	}
	start, written := time.Now(), int64(0)
	for written < diskBytes && time.Since(start) < diskTime && ctx.Err() == nil {
		if _, err := file.Write(block); err != nil {
			return 0, 0, err
		}
		written += diskBlock
	}
	if err := file.Sync(); err != nil {
		return 0, 0, err
	}
	write = float64(written) / time.Since(start).Seconds()
	dropCache(file)
	start = time.Now()
	got := int64(0)
	for time.Since(start) < diskTime && ctx.Err() == nil {
		n, err := file.ReadAt(block, got)
		got += int64(n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return write, 0, err
		}
	}
	return write, float64(got) / time.Since(start).Seconds(), ctx.Err()
}

// plain is an error without the file's name, which nobody knows.
func plain(err error) string {
	var no syscall.Errno
	if errors.As(err, &no) {
		return no.Error()
	}
	return err.Error()
}

func memory() (total, available int64) {
	file, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, 0
	}
	defer func() { _ = file.Close() }() // only read
	for lines := bufio.NewScanner(file); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 2 {
			continue
		}
		kib, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "MemTotal:":
			total = kib << 10
		case "MemAvailable:":
			available = kib << 10
		}
	}
	return total, available
}
