package reftrain

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/dcp"
)

// A checkpoint is a folder <ckpt.path>/step_<N> as CotrainCore leaves it, written in its order: the shards, .metadata by
// rename, then for each process its outer optimiser (with DiLoCo) and its place in the data. It is complete after the
// last of them. A worker is one process here, and writes what as many processes as it has GPUs would: each part of its
// state in as many pieces. Worker 0 writes into the folder; with DiLoCo worker k writes the same files into its
// subfolder diloco_<k>, the name that CotrainCore's loader knows, because the workers may share the path.
const metadataName = ".metadata"

func shardName(rank int) string { return fmt.Sprintf("__%d_0.distcp", rank) } // a piece of model and AdamW
func outerName(rank int) string { return fmt.Sprintf("__%d_0.pt", rank) }     // of the model at the last outer step and the outer momentum
func placeName(rank int) string { return fmt.Sprintf("data/_%d.pt", rank) }   // the place in the data

// maxProcesses bounds how many processes a worker stands for.
const maxProcesses = 1024

// metadata is what a complete checkpoint holds.
type metadata struct {
	about
	items map[string]dcp.Item
}

// about is the first thing in the first shard.
type about struct {
	Model     string   `json:"model"` // what the parameters belong to
	Progress  progress `json:"progress"`
	BaseHash  string   `json:"base_hash"`
	DiLoCo    bool     `json:"diloco"`
	Processes int      `json:"processes"`
}

const aboutItem = "about"

func stateItem(rank int) string { return fmt.Sprintf("state.%d", rank) }

var errIncomplete = errors.New("checkpoint is incomplete")

// dataPlace is the content of the files in data.
type dataPlace struct {
	Samples int64 `json:"samples"`
}

// file is one of a checkpoint, by its name below the folder.
type file struct {
	name    string
	content []byte
}

// checkpointFiles are those of a checkpoint, in the order in which they are written.
func checkpointFiles(model string, s *state, processes int) ([]file, error) {
	header, err := encodeArrays(about{Model: model, Progress: s.progress, BaseHash: s.baseHash(), DiLoCo: s.base != nil, Processes: processes})
	if err != nil {
		return nil, err
	}
	weights, err := encodeArrays(s.progress, s.params, s.m, s.v)
	if err != nil {
		return nil, err
	}
	outer, err := encodeArrays(struct{}{}, s.base, s.momentum)
	if err != nil {
		return nil, err
	}
	place, err := encodeArrays(dataPlace{s.Samples})
	if err != nil {
		return nil, err
	}
	var md dcp.Metadata
	var shards, rest []file
	for rank := range processes {
		shard := file{name: shardName(rank)}
		add := func(name string, b []byte) {
			md.Items = append(md.Items, dcp.Item{Name: name, File: shard.name, Offset: int64(len(shard.content)), Length: int64(len(b))})
			shard.content = append(shard.content, b...)
		}
		if rank == 0 {
			add(aboutItem, header)
		}
		add(stateItem(rank), piece(weights, rank, processes))
		shards = append(shards, shard)
		if s.base != nil {
			rest = append(rest, file{outerName(rank), piece(outer, rank, processes)})
		}
		rest = append(rest, file{placeName(rank), place})
	}
	return append(append(shards, file{metadataName, md.Encode()}), rest...), nil
}

// piece is the n-th of so many nearly equal parts.
func piece(b []byte, n, of int) []byte { return b[len(b)*n/of : len(b)*(n+1)/of] }

// writeCheckpoint writes a checkpoint, in place of an older one of the same step.
func writeCheckpoint(dir, model string, s *state, processes int) error {
	files, err := checkpointFiles(model, s, processes)
	if err != nil {
		return err
	}
	if err := clearCheckpoint(dir); err != nil {
		return err
	}
	for _, f := range files {
		if err := writeFile(dir, f); err != nil {
			return err
		}
	}
	return nil
}

// clearCheckpoint makes a folder without files of a checkpoint. The first that goes makes an older one incomplete, and
// none of its files can complete the next. What other workers have in there stays.
func clearCheckpoint(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { // #nosec G301 -- others may read models
		return fmt.Errorf("make checkpoint folder: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("replace checkpoint: %w", err)
	}
	// In the order of names: .metadata, what begins with __, data.
	for _, e := range entries {
		if name := e.Name(); name == metadataName || strings.HasPrefix(name, "__") || name == "data" {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return fmt.Errorf("replace checkpoint: %w", err)
			}
		}
	}
	return nil
}

// writeFile writes one file of a checkpoint; .metadata is not there before it is whole.
func writeFile(dir string, f file) error {
	name := filepath.Join(dir, filepath.FromSlash(f.name))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { // #nosec G301 -- others may read models
		return fmt.Errorf("make checkpoint folder: %w", err)
	}
	if f.name != metadataName {
		return writeSynced(name, f.content)
	}
	if err := writeSynced(name+".tmp", f.content); err != nil {
		return err
	}
	if err := os.Rename(name+".tmp", name); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
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

// readMetadata returns errIncomplete for a folder in which anything of a checkpoint is missing, and fs.ErrNotExist for no
// folder.
func readMetadata(dir string) (metadata, error) {
	md := metadata{items: map[string]dcp.Item{}}
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
	found, err := dcp.Parse(b)
	if err != nil {
		return md, fmt.Errorf("%w: %s: %w", errIncomplete, filepath.Join(dir, metadataName), err)
	}
	for _, it := range found.Items {
		md.items[it.Name] = it
	}
	header, err := md.read(dir, aboutItem, maxMetadataBytes)
	if err != nil {
		return md, err
	}
	if _, err := decodeArrays(header, &md.about); err != nil || md.Processes < 1 || md.Processes > maxProcesses {
		return md, fmt.Errorf("%w: %s is not one of this trainer", errIncomplete, dir)
	}
	return md, md.whole(dir)
}

// whole returns errIncomplete when a file is missing or too short.
func (md metadata) whole(dir string) error {
	least := map[string]int64{}
	for _, it := range md.items {
		least[it.File] = max(least[it.File], it.Offset+it.Length)
	}
	for rank := range md.Processes {
		least[placeName(rank)] = 1
		if md.DiLoCo {
			least[outerName(rank)] = 1
		}
	}
	for _, name := range slices.Sorted(maps.Keys(least)) {
		full := filepath.Join(dir, filepath.FromSlash(name))
		info, err := os.Stat(full)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%w: %s is missing", errIncomplete, full)
		case err != nil:
			return fmt.Errorf("read checkpoint: %w", err)
		case info.Size() < least[name]:
			return fmt.Errorf("%w: %s has %d bytes of %d", errIncomplete, full, info.Size(), least[name])
		}
	}
	return nil
}

// readInto loads a complete checkpoint into s, which stays as it was if anything is missing or wrong.
func (md metadata) readInto(dir, model string, s *state) error {
	if md.Model != model {
		return fmt.Errorf("checkpoint %s is of another model or text: %s instead of %s", dir, cut(md.Model), model)
	}
	bound := int64(3*8*len(s.params) + maxMetadataBytes)
	pieces := func(read func(rank int) ([]byte, error), meta any) ([][]float64, error) {
		var whole []byte
		for rank := range md.Processes {
			b, err := read(rank)
			if err != nil {
				return nil, err
			}
			if whole = append(whole, b...); int64(len(whole)) > bound {
				return nil, fmt.Errorf("%w: %s is longer than a checkpoint of this model", errIncomplete, dir)
			}
		}
		arrays, err := decodeArrays(whole, meta)
		if err != nil {
			return nil, fmt.Errorf("%w: %s is not what was saved: %w", errIncomplete, dir, err)
		}
		return arrays, nil
	}
	var p progress
	weights, err := pieces(func(rank int) ([]byte, error) { return md.read(dir, stateItem(rank), bound) }, &p)
	if err != nil {
		return err
	}
	if p.Samples, err = readPlace(filepath.Join(dir, filepath.FromSlash(placeName(0)))); err != nil {
		return err
	}
	if s.base == nil {
		return s.adopt(p, weights, s.params, s.m, s.v)
	}
	if !md.DiLoCo {
		return fmt.Errorf("checkpoint %s holds no DiLoCo state (%s): it was saved without [diloco]", dir, outerName(0))
	}
	outer, err := pieces(func(rank int) ([]byte, error) {
		return readBounded(filepath.Join(dir, outerName(rank)), bound)
	}, &struct{}{})
	if err != nil {
		return err
	}
	return s.adopt(p, append(weights, outer...), s.params, s.m, s.v, s.base, s.momentum)
}

// readPlace reads a file of the folder data.
func readPlace(name string) (samples int64, err error) {
	b, err := readBounded(name, maxMetadataBytes)
	if err != nil {
		return 0, err
	}
	var place dataPlace
	if _, err := decodeArrays(b, &place); err != nil {
		return 0, fmt.Errorf("%w: data state %s: %w", errIncomplete, name, err)
	}
	return place.Samples, nil
}

// read returns the bytes of one item.
func (md metadata) read(dir, item string, bound int64) ([]byte, error) {
	it, ok := md.items[item]
	if !ok || it.Length > bound {
		return nil, fmt.Errorf("%w: %s does not list %s", errIncomplete, filepath.Join(dir, metadataName), item)
	}
	full := filepath.Join(dir, filepath.FromSlash(it.File))
	f, err := os.Open(full) // #nosec G304 -- below the folder that the user names
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s is missing", errIncomplete, full)
	} else if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	b, err := io.ReadAll(io.NewSectionReader(f, it.Offset, it.Length))
	if err != nil {
		return nil, fmt.Errorf("read checkpoint %s: %w", full, err)
	}
	if int64(len(b)) < it.Length {
		return nil, fmt.Errorf("%w: %s ends before %s does", errIncomplete, full, item)
	}
	return b, nil
}

const maxMetadataBytes = 1 << 20

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
