package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/dcp"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// file is one of a checkpoint.
type file struct{ name, content string }

// checkpointFiles are those of a checkpoint in the order in which the core makes them. Its processes write the last kinds
// at one time; here one is done before the next begins, which looks most like a whole one.
func checkpointFiles(processes int, diloco bool) []file {
	var m dcp.Metadata
	var files []file
	for rank := range processes {
		shard := fmt.Sprintf("__%d_0.distcp", rank)
		m.Items = append(m.Items, dcp.Item{Name: fmt.Sprintf("model.%d", rank), File: shard, Offset: 0, Length: 3}, dcp.Item{Name: fmt.Sprintf("step.%d", rank), File: shard, Offset: 3, Length: 2})
		files = append(files, file{shard, "12345"})
	}
	files = append(files, file{".metadata", string(m.Encode())})
	for rank := range processes {
		if diloco {
			files = append(files, file{fmt.Sprintf("__%d_0.pt", rank), "outer"})
		}
		files = append(files, file{fmt.Sprintf("data/_%d.pt", rank), "place"})
	}
	return files
}

func (f *fixture) lack(folder string, shape run.Shape, diloco bool) string {
	f.t.Helper()
	what, known, err := f.CheckpointProblem(context.Background(), folder, shape, diloco)
	if err != nil || !known {
		f.t.Errorf("%s: known %v, %v", folder, known, err)
	}
	return what
}

// A kill may leave the files up to any one, and of that one nothing, or a part.
func TestACheckpointIsCompleteOnlyAfterItsLastFile(t *testing.T) {
	t.Parallel()
	for _, diloco := range []bool{false, true} {
		f := open(t, Options{})
		files, shape := checkpointFiles(2, diloco), run.Shape{Nodes: 1, GPUs: 2}
		for i := range files {
			dir := fmt.Sprintf("models/checkpoints/killed/step_%d", i)
			for _, before := range files[:i] {
				f.write(dir+"/"+before.name, before.content)
			}
			if lack := f.lack(dir, shape, diloco); i > 0 && !strings.HasPrefix(lack, "is an incomplete checkpoint: ") {
				t.Errorf("killed before %s: %q", files[i].name, lack)
			}
			cut := ""
			if i <= 2 { // PyTorch's files; the core's own are empty until they are written
				cut = files[i].content[:len(files[i].content)-1]
			}
			f.write(dir+"/"+files[i].name, cut)
			if lack := f.lack(dir, shape, diloco); !strings.HasPrefix(lack, "is an incomplete checkpoint: ") {
				t.Errorf("killed within %s: %q", files[i].name, lack)
			}
			for _, rest := range files[i:] {
				f.write(dir+"/"+rest.name, rest.content)
			}
			if lack := f.lack(dir, shape, diloco); lack != "" {
				t.Errorf("whole: %q", lack)
			}
		}
	}
}

func TestWhatACheckpointLacksIsNamed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, want string
		harm       func(f *fixture, dir string)
	}{
		{"nothing", "", func(*fixture, string) {}},
		{"a shard", "is an incomplete checkpoint: __1_0.distcp is missing", func(f *fixture, d string) { f.remove(d + "/__1_0.distcp") }},
		{"a byte", "is an incomplete checkpoint: __1_0.distcp has 4 bytes of 5", func(f *fixture, d string) { f.write(d+"/__1_0.distcp", "1234") }},
		{"nothing, a shard is longer", "", func(f *fixture, d string) { f.write(d+"/__1_0.distcp", "123456") }},
		{"its metadata", "is an incomplete checkpoint: .metadata is missing", func(f *fixture, d string) { f.remove(d + "/.metadata") }},
		{"metadata that only tells", "is an incomplete checkpoint: .metadata cannot be read: at byte 13: \"os.system\" is not a class of a checkpoint",
			func(f *fixture, d string) { f.write(d+"/.metadata", "\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R.") }},
		{"an optimiser", "is an incomplete checkpoint: __0_0.pt is missing", func(f *fixture, d string) { f.remove(d + "/__0_0.pt") }},
		{"an optimiser's bytes", "is an incomplete checkpoint: __1_0.pt is empty", func(f *fixture, d string) { f.write(d+"/__1_0.pt", "") }},
		{"a place in the data", "is an incomplete checkpoint: data/_1.pt is missing", func(f *fixture, d string) { f.remove(d + "/data/_1.pt") }},
		{"a file, in whose place is a folder", "is an incomplete checkpoint: data/_1.pt is not a file", func(f *fixture, d string) { f.remove(d + "/data/_1.pt"); f.write(d+"/data/_1.pt/x", "") }},
		{"all", "is not in shared storage", func(f *fixture, d string) { f.remove(d) }},
	} {
		f := open(t, Options{})
		const dir = "models/checkpoints/r/step_5"
		for _, x := range checkpointFiles(2, true) {
			f.write(dir+"/"+x.name, x.content)
		}
		tt.harm(f, dir)
		if got := f.lack(dir, run.Shape{Nodes: 1, GPUs: 2}, true); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestWhatARunNeedsOfACheckpointFollowsItsShape(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	save := func(dir string, processes int, diloco bool, but ...string) {
		for _, x := range checkpointFiles(processes, diloco) {
			f.write(dir+"/"+x.name, x.content)
		}
		for _, name := range but {
			f.remove(dir + "/" + name)
		}
	}
	save("models/checkpoints/one/step_1", 1, false)
	save("models/checkpoints/four/step_1", 4, false, "data/_3.pt")
	save("models/checkpoints/world/step_1", 4, false, "data/_2.pt", "data/_3.pt") // two workers of two GPUs each
	for rank := range 3 {
		save(fmt.Sprintf("models/checkpoints/mesh/worker_%d/step_1", rank), 2, true)
		save(fmt.Sprintf("models/checkpoints/mesh/worker_%d/step_2", rank), 2, true)
		save(fmt.Sprintf("models/checkpoints/mesh/worker_%d/step_3", rank), 2, true)
	}
	f.remove("models/checkpoints/mesh/worker_1/step_2/__1_0.pt")
	f.remove("models/checkpoints/mesh/worker_2/step_3")
	mesh := run.Shape{Nodes: 3, GPUs: 2}
	for _, tt := range []struct {
		name, folder string
		shape        run.Shape
		diloco       bool
		want         string
	}{
		{"one process", "models/checkpoints/one/step_1", run.Shape{Nodes: 1, GPUs: 1}, false, ""},
		{"no GPU", "models/checkpoints/one/step_1", run.Shape{Nodes: 1}, false, ""},
		{"with DiLoCo from without", "models/checkpoints/one/step_1", run.Shape{Nodes: 1}, true, "is an incomplete checkpoint: __0_0.pt is missing"},
		{"more processes, of which nobody knows", "models/checkpoints/one/step_1", run.Shape{Nodes: 1, GPUs: 2}, false, ""},
		{"not written by all", "models/checkpoints/four/step_1", run.Shape{Nodes: 1, GPUs: 4}, false, "is an incomplete checkpoint: data/_3.pt is missing"},
		{"not written by all, and read by fewer", "models/checkpoints/four/step_1", run.Shape{Nodes: 1, GPUs: 2}, false, "is an incomplete checkpoint: data/_3.pt is missing"},
		{"one world of workers", "models/checkpoints/world/step_1", run.Shape{Nodes: 2, GPUs: 2}, false, ""},
		{"each worker its own", "models/checkpoints/mesh/step_1", mesh, true, ""},
		{"each worker its own, by worker 0's", "models/checkpoints/mesh/worker_0/step_1", mesh, true, ""},
		{"one of them not", "models/checkpoints/mesh/step_2", mesh, true,
			"cannot be used: of it a worker reads models/checkpoints/mesh/worker_1/step_2, which is an incomplete checkpoint: __1_0.pt is missing"},
		{"one of them not, by worker 0's", "models/checkpoints/mesh/worker_0/step_2", mesh, true,
			"cannot be used: of it a worker reads models/checkpoints/mesh/worker_1/step_2, which is an incomplete checkpoint: __1_0.pt is missing"},
		{"one has none and takes worker 0's", "models/checkpoints/mesh/step_3", mesh, true, ""},
		{"more workers than before", "models/checkpoints/mesh/step_1", run.Shape{Nodes: 5, GPUs: 2}, true, ""},
		{"one worker needs the folder itself", "models/checkpoints/mesh/step_1", run.Shape{Nodes: 1, GPUs: 2}, true, "is not in shared storage"},
	} {
		if got := f.lack(tt.folder, tt.shape, tt.diloco); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestACheckpointOfFewerProcessesIsWarnedOf(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	f.checkpoint("models/checkpoints/one/step_1")
	for gpus, want := range map[int]string{0: "", 1: "", 2: "was saved by workers of 1 process, and those of this run have 2"} {
		errs, warns := f.CheckPaths(t.Context(), conf(t, "data.fake", "true", "ckpt.resume", "models/checkpoints/one/step_1"), run.Shape{Nodes: 1, GPUs: gpus})
		if len(errs) != 0 || (want == "") != (len(warns) == 0) || want != "" && !strings.Contains(texts(warns), want) {
			t.Errorf("%d GPUs: errors %v, warnings %v", gpus, errs, warns)
		}
	}
}

// PyTorch 1.13 saved it with two ranks; the files of the core itself are added.
func TestACheckpointOfPyTorchIsComplete(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	const dir = "models/checkpoints/r/step_5"
	for _, name := range []string{".metadata", "__0_0.distcp", "__1_0.distcp"} {
		content, err := os.ReadFile("../dcp/testdata/torch-1.13/" + name)
		if err != nil {
			t.Fatal(err)
		}
		f.write(dir+"/"+name, string(content))
	}
	shape := run.Shape{Nodes: 1, GPUs: 2}
	if got := f.lack(dir, shape, false); got != "is an incomplete checkpoint: data/_0.pt is missing" {
		t.Error(got)
	}
	f.write(dir+"/data/_0.pt", "x")
	f.write(dir+"/data/_1.pt", "x")
	if got := f.lack(dir, shape, false); got != "" {
		t.Error(got)
	}
	if err := os.Truncate(f.dir+"/"+dir+"/__1_0.distcp", 1493); err != nil {
		t.Fatal(err)
	}
	if got := f.lack(dir, shape, false); got != "is an incomplete checkpoint: __1_0.distcp has 1493 bytes of 1494" {
		t.Error(got)
	}
}

func TestACheckpointOutOfSightIsNotJudged(t *testing.T) {
	t.Parallel()
	f := open(t, Options{Mount: "/mnt/shared"})
	f.link("/mnt/elsewhere", "models/checkpoints/out")
	for _, folder := range []string{"/data/step_5", "s3://bucket/step_5", "models/checkpoints/out/step_5"} {
		if what, known, err := f.CheckpointProblem(t.Context(), folder, run.Shape{}, false); known || what != "" || err != nil {
			t.Errorf("%s: %q, %v, %v", folder, what, known, err)
		}
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if _, _, err := f.CheckpointProblem(ctx, "models/checkpoints/r/step_5", run.Shape{}, false); !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("without an answer: %v", err)
	}
}

func TestACheckpointThatNothingCanGoOnFromIsNotSuggested(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	f.checkpoint("models/checkpoints/r/step_5")
	f.checkpoint("models/checkpoints/r/step_10")
	f.remove("models/checkpoints/r/step_10/data/_0.pt")
	f.write("models/checkpoints/r/step_x/x", "x")
	got, err := f.Complete(t.Context(), "models/checkpoints/r/", 0)
	if diff := cmp.Diff([]string{"models/checkpoints/r/step_5/", "models/checkpoints/r/step_x/"}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	f.write("models/checkpoints/r/step_10/data/_0.pt", "x")
	if got, err = f.Complete(t.Context(), "models/checkpoints/r/step_1", 0); err != nil || len(got) != 1 {
		t.Errorf("once it is complete: %v, %v", got, err)
	}
}
