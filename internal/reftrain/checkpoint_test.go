package reftrain

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/storage"
)

// sealed appends a right checksum.
func sealed(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(slices.Clone(b), crc32.Checksum(b, castagnoli()))
}

func someState(diloco bool) *state {
	s := newState([]float64{1, -2, 3.5}, diloco)
	s.progress = progress{Step: 12, Outer: 2, Inner: 2, TotalTokens: 99, Samples: 48}
	s.m[1], s.v[2] = 0.25, 0.5
	if diloco {
		s.base[0], s.momentum[1] = 7, 8
	}
	return s
}

func saveTo(t *testing.T, dir string, s *state) {
	t.Helper()
	if err := writeCheckpoint(dir, "m", s, 1); err != nil {
		t.Fatal(err)
	}
}

func loadFrom(dir string, s *state) error {
	md, err := readMetadata(dir)
	if err != nil {
		return err
	}
	return md.readInto(dir, "m", s)
}

func TestCheckpointsHoldTheWholeState(t *testing.T) {
	t.Parallel()
	for _, diloco := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "step_12")
		want := someState(diloco)
		saveTo(t, dir, want)
		got := newState(make([]float64, 3), diloco)
		if err := loadFrom(dir, got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(state{})); diff != "" {
			t.Errorf("diloco %v: state (-saved +loaded):\n%s", diloco, diff)
		}
		var names []string
		_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if !d.IsDir() {
				names = append(names, strings.TrimPrefix(p, dir+"/"))
			}
			return err
		})
		want2 := []string{".metadata", "__0_0.distcp", "data/_0.pt"}
		if diloco {
			want2 = []string{".metadata", "__0_0.distcp", "__0_0.pt", "data/_0.pt"}
		}
		if diff := cmp.Diff(want2, names); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
	}
}

// A worker with several GPUs writes what as many processes would, in the order of the core. A kill may leave the files up to
// any one, and a part of that one; an older checkpoint of the same step may have been there.
func TestACheckpointIsResumableOnlyAfterItsLastFile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		diloco bool
		want   []string
	}{
		{false, []string{"__0_0.distcp", "__1_0.distcp", ".metadata", "data/_0.pt", "data/_1.pt"}},
		{true, []string{"__0_0.distcp", "__1_0.distcp", ".metadata", "__0_0.pt", "data/_0.pt", "__1_0.pt", "data/_1.pt"}},
	} {
		saved := someState(tt.diloco)
		files, err := checkpointFiles("m", saved, 2)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range files {
			names = append(names, f.name)
		}
		if diff := cmp.Diff(tt.want, names); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
		shelf, err := storage.Open(t.Context(), t.TempDir(), storage.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		const folder = "models/checkpoints/r/step_12"
		dir := filepath.Join(shelf.Path(), folder)
		resumable := func(when string, want bool) {
			t.Helper()
			lack, known, err := shelf.CheckpointProblem(t.Context(), folder, run.Shape{Nodes: 1, GPUs: 2}, tt.diloco)
			if err != nil || !known || (lack == "") != want {
				t.Errorf("%s: the console says %q, %v, %v", when, lack, known, err)
			}
			got := newState(make([]float64, 3), tt.diloco)
			switch err := loadFrom(dir, got); {
			case want && err != nil:
				t.Errorf("%s: %v", when, err)
			case want && cmp.Diff(saved, got, cmp.AllowUnexported(state{})) != "":
				t.Errorf("%s: loaded %+v", when, got)
			case !want && !errors.Is(err, errIncomplete):
				t.Errorf("%s: the trainer says %v", when, err)
			}
		}
		for i := range files {
			if err := writeCheckpoint(dir, "m", saved, 2); err != nil {
				t.Fatal(err)
			}
			resumable("written over an older one", true)
			if err := clearCheckpoint(dir); err != nil {
				t.Fatal(err)
			}
			for _, f := range files[:i] {
				if err := writeFile(dir, f); err != nil {
					t.Fatal(err)
				}
			}
			resumable("killed before "+files[i].name, false)
			part := file{files[i].name, files[i].content[:len(files[i].content)/2]}
			switch {
			case part.name == metadataName:
				part.name += ".tmp" // it is renamed when it is whole
			case i > 2:
				part.content = nil // the core's own files have no length that anybody knows
			}
			if err := writeFile(dir, part); err != nil {
				t.Fatal(err)
			}
			resumable("killed within "+files[i].name, false)
		}
		if err := shelf.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestIncompleteCheckpointsAreRefused(t *testing.T) {
	t.Parallel()
	truncate := func(t *testing.T, name string) {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(name, info.Size()-1); err != nil {
			t.Fatal(err)
		}
	}
	flip := func(t *testing.T, name string) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(t *testing.T, name string) {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	for name, harm := range map[string]func(t *testing.T, dir string){
		"no metadata":         func(t *testing.T, d string) { remove(t, filepath.Join(d, metadataName)) },
		"metadata cut short":  func(t *testing.T, d string) { truncate(t, filepath.Join(d, metadataName)) },
		"no model":            func(t *testing.T, d string) { remove(t, filepath.Join(d, shardName(0))) },
		"model cut short":     func(t *testing.T, d string) { truncate(t, filepath.Join(d, shardName(0))) },
		"model with an error": func(t *testing.T, d string) { flip(t, filepath.Join(d, shardName(0))) },
		"no outer state":      func(t *testing.T, d string) { remove(t, filepath.Join(d, outerName(0))) },
		"outer cut short":     func(t *testing.T, d string) { truncate(t, filepath.Join(d, outerName(0))) },
		"outer empty": func(t *testing.T, d string) {
			if err := os.Truncate(filepath.Join(d, outerName(0)), 0); err != nil {
				t.Fatal(err)
			}
		},
		"no data state": func(t *testing.T, d string) { remove(t, filepath.Join(d, placeName(0))) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "step_12")
			saveTo(t, dir, someState(true))
			harm(t, dir)
			s := newState([]float64{5, 6, 7}, true)
			if err := loadFrom(dir, s); !errors.Is(err, errIncomplete) {
				t.Errorf("error %v, want errIncomplete", err)
			}
			if s.params[0] != 5 || s.Step != 0 {
				t.Error("the state was changed by a checkpoint that was refused")
			}
		})
	}
}

func TestCheckpointsOfAnotherModelAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	saveTo(t, dir, someState(false))
	md, err := readMetadata(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := md.readInto(dir, "other", newState(make([]float64, 3), false)); err == nil || !strings.Contains(err.Error(), "another model") {
		t.Errorf("another model: error %v", err)
	}
	if err := md.readInto(dir, "m", newState(make([]float64, 3), true)); err == nil || !strings.Contains(err.Error(), "without [diloco]") {
		t.Errorf("diloco from a checkpoint without: error %v", err)
	}
	if _, err := readMetadata(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent folder: error %v", err)
	}
}

func TestAWorkerResumesFromItsOwnPlaceInTheSameInnerLoop(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	save := func(step, outer int64, rank int) {
		s := someState(true)
		s.Step, s.Outer = step, outer
		saveTo(t, workerDir(filepath.Join(path, "step_"+strconv.FormatInt(step, 10)), rank), s)
	}
	save(70, 1, 0)
	save(60, 1, 1)
	save(73, 1, 1)
	save(110, 2, 1) // of a later inner loop
	save(70, 1, 2)
	resume := filepath.Join(path, "step_70")
	for rank, want := range []string{"step_70", "step_73/diloco_1", "step_70/diloco_2", "step_70"} {
		if got := resumeDir(resume, rank); got != filepath.Join(path, want) {
			t.Errorf("worker %d resumes from %s, want %s", rank, got, want)
		}
	}
}

func TestAWorkerResumesFromItsOwnFolderBesideWorker0s(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	save := func(step, outer int64, rank int) {
		s := someState(true)
		s.Step, s.Outer = step, outer
		saveTo(t, workerDir(filepath.Join(path, ownFolder(rank), "step_"+strconv.FormatInt(step, 10)), rank), s)
	}
	save(70, 1, 0)
	save(73, 1, 1)
	save(110, 2, 1)
	save(70, 1, 2)
	for rank, want := range []string{"worker_0/step_70", "worker_1/step_73", "worker_2/step_70", "worker_0/step_70"} {
		if got := resumeDir(filepath.Join(path, "worker_0", "step_70"), rank); got != filepath.Join(path, want) {
			t.Errorf("worker %d resumes from %s, want %s", rank, got, want)
		}
	}
	for _, rank := range []int{0, 1} { // whoever has none of its own takes another's as it is
		if md, err := readMetadata(resumeDir(filepath.Join(path, "worker_2", "step_70"), rank)); err != nil || md.Progress.Step != 70 {
			t.Errorf("worker %d: %+v, %v", rank, md, err)
		}
	}
}

func TestOnlyTheNewestStepsAreKept(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	for _, name := range []string{"step_9", "step_100", "step_20", "step_x", "step_007", "other"} {
		if err := os.MkdirAll(filepath.Join(path, name), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	gone, err := deleteBeyond(path, 2)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{filepath.Join(path, "step_9")}, gone); diff != "" {
		t.Errorf("removed (-want +got):\n%s", diff)
	}
	if got := slices.Sorted(maps.Keys(stepFolders(path))); !slices.Equal(got, []int64{20, 100}) {
		t.Errorf("left are %v", got)
	}
	if _, err := os.Stat(filepath.Join(path, "step_007")); err != nil {
		t.Error("a folder that is no step of ours was removed")
	}
}
