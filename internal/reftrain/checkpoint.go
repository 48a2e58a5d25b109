package reftrain

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A checkpoint is a folder <ckpt.path>/step_<N> as CotrainCore leaves it. Worker 0 writes into it; with DiLoCo worker k
// writes the same files into its subfolder diloco_<k>, the name that CotrainCore's loader knows, because the workers
// may share the path. .metadata is written last, by rename, and worker 0's only after the other workers have written
// theirs: where it is, the checkpoint is complete.
const (
	metadataName = ".metadata"
	modelName    = "__0_0.distcp" // model and AdamW
	outerName    = "__0_0.pt"     // DiLoCo: model at the last outer step, outer momentum
	dataName     = "data/_0.pt"   // place in the data
)

const (
	metadataFormat   = 1
	maxMetadataBytes = 1 << 20
)

// metadata lists what a complete checkpoint holds.
type metadata struct {
	Format   int                 `json:"format"`
	Model    string              `json:"model"` // what the parameters belong to
	Progress progress            `json:"progress"`
	BaseHash string              `json:"base_hash"`
	Files    map[string]fileFact `json:"files"`
}

type fileFact struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

var errIncomplete = errors.New("checkpoint is incomplete")

// dataPlace is the content of data/_0.pt.
type dataPlace struct {
	Samples int64 `json:"samples"`
}

// writeShards writes everything but .metadata and returns what to commit.
func writeShards(dir, model string, s *state) (metadata, error) {
	md := metadata{Format: metadataFormat, Model: model, Progress: s.progress, BaseHash: s.baseHash(), Files: map[string]fileFact{}}
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o755); err != nil { // #nosec G301 -- others may read models
		return md, fmt.Errorf("make checkpoint folder: %w", err)
	}
	// An older checkpoint of the same step is no longer complete once its first file changes.
	if err := os.Remove(filepath.Join(dir, metadataName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return md, fmt.Errorf("replace checkpoint: %w", err)
	}
	write := func(name string, meta any, arrays ...[]float64) error {
		b, err := encodeArrays(meta, arrays...)
		if err != nil {
			return err
		}
		md.Files[name] = fileFact{Size: int64(len(b)), SHA256: fmt.Sprintf("%x", sha256.Sum256(b))}
		return writeSynced(filepath.Join(dir, filepath.FromSlash(name)), b)
	}
	if err := write(modelName, s.progress, s.params, s.m, s.v); err != nil {
		return md, err
	}
	if s.base != nil {
		if err := write(outerName, struct{}{}, s.base, s.momentum); err != nil {
			return md, err
		}
	}
	return md, write(dataName, dataPlace{s.Samples})
}

// commit writes .metadata, after which the checkpoint is complete.
func (md metadata) commit(dir string) error {
	b, err := json.MarshalIndent(md, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", metadataName, err)
	}
	tmp := filepath.Join(dir, metadataName+".tmp")
	if err := writeSynced(tmp, b); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(dir, metadataName)); err != nil {
		return fmt.Errorf("complete checkpoint: %w", err)
	}
	return nil
}

func writeSynced(name string, b []byte) error {
	f, err := os.Create(name) // #nosec G304 -- below the configured checkpoint folder
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write checkpoint %s: %w", name, err)
	}
	return nil
}

// readMetadata returns errIncomplete for a folder that exists without a readable .metadata, and fs.ErrNotExist for no
// folder.
func readMetadata(dir string) (metadata, error) {
	var md metadata
	if info, err := os.Stat(dir); err != nil {
		return md, fmt.Errorf("open checkpoint: %w", err)
	} else if !info.IsDir() {
		return md, fmt.Errorf("open checkpoint %s: it is no folder", dir)
	}
	b, err := readBounded(filepath.Join(dir, metadataName), maxMetadataBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return md, fmt.Errorf("%w: %s has no %s (ckpt.resume names a step folder such as .../step_100)", errIncomplete, dir, metadataName)
	} else if err != nil {
		return md, err
	}
	if err := json.Unmarshal(b, &md); err != nil || md.Format != metadataFormat {
		return md, fmt.Errorf("%w: %s is not one of this trainer", errIncomplete, filepath.Join(dir, metadataName))
	}
	return md, nil
}

// readInto loads a complete checkpoint into s, which stays as it was if anything is missing or wrong.
func (md metadata) readInto(dir, model string, s *state) error {
	if md.Model != model {
		return fmt.Errorf("checkpoint %s is of another model or text: %s instead of %s", dir, cut(md.Model), model)
	}
	bound := int64(3*8*len(s.params) + 1<<20)
	var p progress
	weights, err := md.readShard(dir, modelName, bound, &p)
	if err != nil {
		return err
	}
	var place dataPlace
	if _, err := md.readShard(dir, dataName, bound, &place); err != nil {
		return err
	}
	p.Samples = place.Samples
	if s.base == nil {
		return s.adopt(p, weights, s.params, s.m, s.v)
	}
	if _, ok := md.Files[outerName]; !ok {
		return fmt.Errorf("checkpoint %s holds no DiLoCo state (%s): it was saved without [diloco]", dir, outerName)
	}
	outer, err := md.readShard(dir, outerName, bound, &struct{}{})
	if err != nil {
		return err
	}
	return s.adopt(p, append(weights, outer...), s.params, s.m, s.v, s.base, s.momentum)
}

func (md metadata) readShard(dir, name string, bound int64, meta any) ([][]float64, error) {
	full := filepath.Join(dir, filepath.FromSlash(name))
	fact, ok := md.Files[name]
	if !ok {
		return nil, fmt.Errorf("%w: %s does not list %s", errIncomplete, filepath.Join(dir, metadataName), name)
	}
	b, err := readBounded(full, bound)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s is missing", errIncomplete, full)
	} else if err != nil {
		return nil, err
	}
	if int64(len(b)) != fact.Size {
		return nil, fmt.Errorf("%w: %s has %d bytes instead of %d", errIncomplete, full, len(b), fact.Size)
	}
	if fmt.Sprintf("%x", sha256.Sum256(b)) != fact.SHA256 {
		return nil, fmt.Errorf("%w: %s is not what was saved", errIncomplete, full)
	}
	arrays, err := decodeArrays(b, meta)
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", full, err)
	}
	return arrays, nil
}

func readBounded(name string, bound int64) ([]byte, error) {
	f, err := os.Open(name) // #nosec G304 -- below the folder that the user names
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	b, err := io.ReadAll(io.LimitReader(f, bound+1))
	if err != nil {
		return nil, fmt.Errorf("read checkpoint %s: %w", name, err)
	}
	if int64(len(b)) > bound {
		return nil, fmt.Errorf("%w: %s is longer than a checkpoint of this model", errIncomplete, name)
	}
	return b, nil
}

// ownFolder is what the launch script calls the folder of one worker below the checkpoint path that a run names.
func ownFolder(rank int) string { return "worker_" + strconv.Itoa(rank) }

// workerDir is where a worker keeps its part of a step folder. A step folder below the worker's own folder is all its
// own.
func workerDir(step string, rank int) string {
	if rank == 0 || filepath.Base(filepath.Dir(step)) == ownFolder(rank) {
		return step
	}
	return filepath.Join(step, "diloco_"+strconv.Itoa(rank))
}

// resumeDir finds what a worker resumes from when worker 0 resumes from the folder resume: its own part of it; or,
// when it was stopped at another step of the same inner loop, its newest own part from that loop; or, when it has
// none, what worker 0 has. Inner steps touch no other worker, so each may go on from its own step.
func resumeDir(resume string, rank int) string {
	if rank == 0 {
		return resume
	}
	own := workerDir(resume, rank)
	if _, err := os.Stat(own); err == nil {
		return own
	}
	lead, err := readMetadata(resume)
	if err != nil { // another disk, perhaps: then the outer step is not known either
		return resume
	}
	best, at := resume, int64(-1)
	paths := []string{filepath.Dir(resume)}
	if filepath.Base(paths[0]) == ownFolder(0) { // its own is beside worker 0's
		paths = append(paths, filepath.Join(filepath.Dir(paths[0]), ownFolder(rank)))
	}
	for _, path := range paths {
		for step, dir := range stepFolders(path) {
			md, err := readMetadata(workerDir(dir, rank))
			if err == nil && md.Progress.Outer == lead.Progress.Outer && md.BaseHash == lead.BaseHash && step > at {
				best, at = workerDir(dir, rank), step
			}
		}
	}
	return best
}

// stepFolders returns the step_<N> folders in a folder, by N.
func stepFolders(path string) map[int64]string {
	out := map[int64]string{}
	entries, err := os.ReadDir(path)
	if err != nil {
		return out
	}
	for _, e := range entries {
		n, err := strconv.ParseInt(strings.TrimPrefix(e.Name(), "step_"), 10, 64)
		if err == nil && n >= 0 && e.IsDir() && e.Name() == "step_"+strconv.FormatInt(n, 10) {
			out[n] = filepath.Join(path, e.Name())
		}
	}
	return out
}

// deleteBeyond removes all but the newest keep step folders and returns what it removed.
func deleteBeyond(path string, keep int) ([]string, error) {
	folders := stepFolders(path)
	steps := make([]int64, 0, len(folders))
	for n := range folders {
		steps = append(steps, n)
	}
	slices.Sort(steps)
	var gone []string
	for len(steps) > keep {
		dir := folders[steps[0]]
		// What goes first is the mark of completeness, so that a half removed folder is never resumed from.
		if err := os.Remove(filepath.Join(dir, metadataName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return gone, fmt.Errorf("delete checkpoint: %w", err)
		}
		if err := os.RemoveAll(dir); err != nil {
			return gone, fmt.Errorf("delete checkpoint: %w", err)
		}
		gone, steps = append(gone, dir), steps[1:]
	}
	return gone, nil
}
