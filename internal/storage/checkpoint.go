package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cotrain/cotrain/internal/dcp"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// A checkpoint is a folder step_<N>. The core writes the shards, then .metadata naming them, then with DiLoCo the
// processes' outer optimisers, then their data positions. So it is complete when every file that .metadata names has the
// required length, and every process' files are there and not empty.
const (
	metadataName = ".metadata"
	outerName    = "__%d_0.pt"   // by rank within the worker
	placeName    = "data/_%d.pt" // likewise

	leadFolder = "worker_0" // of worker 0 with several DiLoCo workers, below ckpt.path; see jobs/launch.sh
)

var (
	stepName   = regexp.MustCompile(`^step_(0|[1-9][0-9]{0,17})$`)
	workerName = regexp.MustCompile(`^worker_[0-9]+$`)
)

// workers read a checkpoint. The zero value, for unknown ones, requires what all would need.
type workers struct {
	nodes     int
	processes int // of each
	diloco    bool
}

func workersOf(shape run.Shape, diloco bool) workers {
	return workers{nodes: max(1, shape.Nodes), processes: max(1, shape.GPUs), diloco: diloco}
}

// oneWorld reports whether several workers wrote one checkpoint together: its shards have world ranks, the other files
// ranks within a worker.
func (w workers) oneWorld() bool { return !w.diloco && w.nodes != 1 }

// problemTimeout bounds [Storage.CheckpointProblem]; a retry can wait longer than a form.
const problemTimeout = 10 * time.Second

// CheckpointProblem says why a run of this shape cannot resume from a checkpoint, as the end of a sentence that starts
// with its folder; "" if it is complete for every worker. known is false outside shared storage. The error is
// [fault.ErrUnavailable] if the storage does not answer.
func (s *Storage) CheckpointProblem(ctx context.Context, folder string, shape run.Shape, diloco bool) (what string, known bool, err error) {
	s = s.In(shape.Folder)
	s.nobody = false // workers see all of it
	p, ok := s.inside(folder)
	if !ok {
		return "", false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, problemTimeout)
	defer cancel()
	what, err = await(ctx, s, func(ctx context.Context, s *Storage) (string, error) {
		return s.anyProblem(ctx, p, workersOf(shape, diloco))
	}, nil)
	switch {
	case err == nil:
		return what, true, nil
	case errors.Is(err, context.DeadlineExceeded):
		return "", true, fmt.Errorf("shared storage did not answer for %s within %s: %w", fault.Quote(Display(folder)), problemTimeout, fault.ErrUnavailable)
	case errors.As(err, new(noFolder)):
		return "is not in shared storage", true, nil
	case escapes(err): // nodes may follow the link
		return "", false, nil
	}
	return "", true, explain(p, err)
}

// anyProblem returns the first problem in the folders that the workers read.
func (s *Storage) anyProblem(ctx context.Context, p string, w workers) (string, error) {
	for _, dir := range s.sources(p, w) {
		lack, err := s.problemIn(ctx, dir, w)
		if err != nil {
			return "", err
		}
		if lack != "" && dir != p {
			lack = "cannot be used: of it a worker reads " + named(dir) + ", which " + lack
		}
		if lack != "" {
			return lack, nil
		}
	}
	return "", nil
}

// sources are the folders that workers read to resume from p; as own_checkpoint in jobs/launch.sh.
func (s *Storage) sources(p string, w workers) []string {
	if !w.diloco || w.nodes == 1 {
		return []string{p}
	}
	dir, step := path.Dir(p), path.Base(p)
	if workerName.MatchString(path.Base(dir)) {
		dir = path.Dir(dir)
	}
	rest := p // for workers without a folder of their own
	if lead := join(join(dir, leadFolder), step); !s.isDir(p) && s.isDir(lead) {
		rest = lead
	}
	var out []string
	for rank := range w.nodes {
		own := join(join(dir, "worker_"+strconv.Itoa(rank)), step)
		if !s.isDir(own) {
			own = rest
		}
		if !slices.Contains(out, own) {
			out = append(out, own)
		}
	}
	return out
}

func (s *Storage) isDir(p string) bool {
	info, err := s.stat(p)
	return err == nil && info.IsDir()
}

// problemIn returns the problem of the checkpoint in one folder, or "". The error is about what could not be seen.
func (s *Storage) problemIn(ctx context.Context, dir string, w workers) (string, error) {
	info, err := s.stat(dir)
	switch {
	case missing(err):
		return "is not in shared storage", nil
	case err != nil:
		return "", err
	case !info.IsDir():
		return "is not a folder", nil
	}
	shards, lack, err := s.shards(ctx, dir)
	if lack != "" || err != nil {
		return lack, err
	}
	for _, name := range slices.Sorted(maps.Keys(shards.files)) {
		if lack, err := s.short(ctx, dir, name, shards.files[name]); lack != "" || err != nil {
			return lack, err
		}
	}
	for _, rank := range w.ranks(shards.ranks) {
		names := []string{fmt.Sprintf(placeName, rank)}
		if w.diloco {
			names = []string{fmt.Sprintf(outerName, rank), names[0]}
		}
		for _, name := range names {
			if lack, err := s.short(ctx, dir, name, 1); lack != "" || err != nil {
				return lack, err
			}
		}
	}
	return "", nil
}

// useless reports whether no run at all could resume from a folder.
func (s *Storage) useless(ctx context.Context, dir string) bool {
	lack, err := s.problemIn(ctx, dir, workers{})
	return lack != "" && err == nil
}

// ranks are the ranks within a worker whose files are required, given those that wrote the checkpoint.
func (w workers) ranks(wrote []int) []int {
	if len(wrote) > 0 && !w.oneWorld() {
		return wrote
	}
	n := w.processes
	if len(wrote) > 0 {
		n = min(n, len(wrote))
	}
	out := []int{0}
	for rank := 1; rank < n; rank++ {
		out = append(out, rank)
	}
	return out
}

// tooFew reports that fewer processes wrote the checkpoint than each worker has: the core's others would find no files.
// A site's own trainer may use one process for all GPUs.
func (s *Storage) tooFew(ctx context.Context, p string, w workers) string {
	shards, lack, err := s.shards(ctx, s.sources(p, w)[0])
	if n := len(shards.ranks); n > 0 && n < w.processes && !w.oneWorld() && lack == "" && err == nil {
		each := "1 process"
		if n > 1 {
			each = strconv.Itoa(n) + " processes"
		}
		return fmt.Sprintf("was saved by workers of %s, and those of this run have %d: in the core the others find nothing to resume from", each, w.processes)
	}
	return ""
}

// short reports a missing or too short file of a checkpoint.
func (s *Storage) short(ctx context.Context, dir, name string, least int64) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	info, err := s.stat(join(dir, name))
	switch {
	case missing(err):
		return "is an incomplete checkpoint: " + name + " is missing", nil
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "is an incomplete checkpoint: " + name + " is not a file", nil
	case info.Size() == 0 && least > 0:
		return "is an incomplete checkpoint: " + name + " is empty", nil
	case info.Size() < least:
		return fmt.Sprintf("is an incomplete checkpoint: %s has %d bytes of %d", name, info.Size(), least), nil
	}
	return "", nil
}

// shards is what .metadata lists.
type shards struct {
	files map[string]int64 // least bytes of each
	ranks []int            // writers
	size  int64            // of .metadata
	time  time.Time        // of .metadata
	lack  string           // why it is unusable
}

// shardCache keeps results, since a form asks with every key press.
type shardCache struct {
	mu   sync.Mutex
	seen map[string]shards
}

// Bounds of the cache.
const (
	maxCached      = 1024
	maxCachedFiles = 1024 // of one checkpoint
)

// shards reads .metadata, or says why the checkpoint is unusable.
func (s *Storage) shards(ctx context.Context, dir string) (shards, string, error) {
	p := join(dir, metadataName)
	f, err := s.open(p)
	var refused *Refusal
	switch {
	case missing(err):
		return shards{}, "is an incomplete checkpoint: " + metadataName + " is missing", nil
	case errors.Is(err, fs.ErrPermission), escapes(err):
		return shards{}, "", err
	case errors.As(err, &refused), errors.Is(err, syscall.EISDIR):
		return shards{}, "is an incomplete checkpoint: " + metadataName + " is not a file", nil
	case err != nil:
		return shards{}, "", err
	}
	defer func() { _ = f.Close() }() // only read
	key := path.Join(s.folder, p)
	s.marks.mu.Lock()
	known, ok := s.marks.seen[key]
	s.marks.mu.Unlock()
	if ok && known.size == f.Info.Size() && known.time.Equal(f.Info.ModTime()) {
		return known, known.lack, nil
	}
	select { // one at a time: parsing takes memory
	case s.parsing <- struct{}{}:
		defer func() { <-s.parsing }()
	case <-ctx.Done():
		return shards{}, "", ctx.Err()
	}
	fresh, err := parse(f)
	if err != nil {
		return shards{}, "", err
	}
	s.marks.keep(key, fresh)
	return fresh, fresh.lack, nil
}

func parse(f *File) (shards, error) {
	out := shards{size: f.Info.Size(), time: f.Info.ModTime()}
	text, err := io.ReadAll(io.LimitReader(f, dcp.MaxBytes+1))
	if err != nil {
		return out, err
	}
	m, err := dcp.Parse(text)
	if err != nil {
		out.lack = "is an incomplete checkpoint: " + metadataName + " cannot be read: " + strings.TrimPrefix(err.Error(), dcp.ErrFormat.Error()+": ")
		return out, nil
	}
	out.files, out.ranks = m.Files(), m.Ranks()
	return out, nil
}

func (c *shardCache) keep(p string, fresh shards) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.seen) >= maxCached || c.seen == nil {
		c.seen = map[string]shards{}
	}
	if len(fresh.files) <= maxCachedFiles {
		c.seen[p] = fresh
	}
}

// steps are a folder's step numbers, ascending.
func (s *Storage) steps(dir string) []int64 {
	var out []int64
	for _, name := range s.names(dir, s.limits.suggest) {
		if m := stepName.FindStringSubmatch(name); m != nil {
			n, err := strconv.ParseInt(m[1], 10, 64)
			if err == nil { // 18 digits at most
				out = append(out, n)
			}
		}
	}
	slices.Sort(out)
	return out
}
