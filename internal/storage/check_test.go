package storage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// conf makes a configuration of pairs.
func conf(t *testing.T, pairs ...string) trainconf.Config {
	t.Helper()
	var c trainconf.Config
	for i := 0; i+1 < len(pairs); i += 2 {
		if err := c.Set(pairs[i], pairs[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// checkpoint makes a complete one, of one process without DiLoCo.
func (f *fixture) checkpoint(dir string) {
	for _, file := range checkpointFiles(1, false) {
		f.write(dir+"/"+file.name, file.content)
	}
}

func texts(errs run.FieldErrors) string {
	var lines []string
	for _, e := range errs {
		lines = append(lines, e.Error())
	}
	return strings.Join(lines, "\n")
}

func TestDatasetsThatAreNotThereAreWarnedOfWithWhatIs(t *testing.T) {
	t.Parallel()
	f := open(t, Options{Mount: "/mnt/shared"})
	f.write("datasets/fineweb-edu/part-0.parquet", "x")
	f.write("datasets/raw/sample.txt", "x")
	f.write("datasets/processed/code/part-0.parquet", "x")
	f.write("datasets/empty/x", "x")
	if _, err := f.Delete(t.Context(), "datasets/empty/x"); err != nil {
		t.Fatal(err)
	}
	f.link("/mnt/elsewhere/big", "datasets/big")
	for _, tt := range []struct {
		name, value string
		want        []string // parts of the only warning; nil for none
	}{
		{"a folder that is there", "datasets/fineweb-edu", nil},
		{"a file that is there", "datasets/raw/sample.txt", nil},
		{"with a slash at its end", "datasets/fineweb-edu/", nil},
		{"by the mount", "/mnt/shared/datasets/fineweb-edu", nil},
		{"a link that leads out, which the nodes may follow", "datasets/big", nil},
		{"a name of the hub", "allenai/c4", nil},
		{"a bare name of the hub", "wikitext", nil},
		{"an address", "s3://bucket/datasets/x", nil},
		{"a folder elsewhere", "/data/x", nil},
		{"a home folder", "~/datasets/x", nil},
		{"out of the storage", "datasets/../../x", nil},
		{"a letter wrong", "datasets/finweb-edu", []string{`"datasets/finweb-edu": is not in shared storage`, "use datasets/fineweb-edu, or put it at " + f.dir + "/datasets/finweb-edu"}},
		{"in another folder", "datasets/code", []string{"use datasets/processed/code"}},
		{"by the mount, a letter wrong", "/mnt/shared/datasets/raw/samples.txt", []string{"use /mnt/shared/datasets/raw/sample.txt"}},
		{"nothing like it", "datasets/completely-different", []string{"use one that is there, such as datasets/fineweb-edu, datasets/raw/sample.txt, datasets/processed/code, or put"}},
		{"below a file", "datasets/raw/sample.txt/x", []string{"is not in shared storage"}},
		{"one of several", "datasets/fineweb-edu, allenai/c4, datasets/gone", []string{`= "datasets/gone": is not in shared storage`}},
		{"empty", "datasets/empty", []string{"is an empty folder"}},
		{"the wrong first name", "dataset/fineweb-edu", []string{"is not a folder of shared storage", "use datasets/fineweb-edu if that was meant"}},
		{"nearly the first name of the hub", "datasetz/unknown", nil},
		{"with the run's ID", "datasets/{run}", nil},
	} {
		errs, warns := f.CheckPaths(t.Context(), conf(t, "data.dataset_name_or_paths", tt.value), run.Shape{})
		if len(errs) != 0 || (tt.want == nil) != (len(warns) == 0) || len(warns) > 1 {
			t.Errorf("%s: errors %v, warnings %v", tt.name, errs, warns)
			continue
		}
		for _, part := range tt.want {
			if !strings.Contains(texts(warns), part) {
				t.Errorf("%s: %q does not say %q", tt.name, texts(warns), part)
			}
		}
	}
	_, warns := f.CheckPaths(t.Context(), conf(t, "data.val_dataset_name_or_paths", "datasets/gone"), run.Shape{})
	if len(warns) != 1 || warns[0].Field != "data.val_dataset_name_or_paths" {
		t.Errorf("validation data: %v", warns)
	}
	if _, warns := f.CheckPaths(t.Context(), conf(t, "data.fake", "true", "data.dataset_name_or_paths", "datasets/gone"), run.Shape{}); len(warns) != 0 {
		t.Errorf("synthetic data: %v", warns)
	}
}

func TestTheDefaultDatasetIsCheckedToo(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	_, warns := f.CheckPaths(t.Context(), trainconf.Config{}, run.Shape{})
	if len(warns) != 1 || warns[0].Value != "datasets/fineweb-edu" || warns[0].Fix != "put it at "+f.dir+"/datasets/fineweb-edu" {
		t.Errorf("%v", warns)
	}
}

func TestACheckpointToResumeFromMustBeThereAndComplete(t *testing.T) {
	t.Parallel()
	f := open(t, Options{Mount: "/mnt/shared"})
	const dir = "models/checkpoints/r-one/"
	f.checkpoint(dir + "step_100")
	f.checkpoint(dir + "step_200")
	f.write(dir+"step_300/__0_0.distcp", "x") // no .metadata yet
	f.checkpoint(dir + "step_500")
	f.remove(dir + "step_500/data/_0.pt") // killed after .metadata
	f.checkpoint(dir + "step_1000")
	f.write(dir+"step_1000/.metadata", "x")   // damaged
	f.write(dir+"step_20x/.metadata", "x")    // no step
	f.write("models/checkpoints/file/x", "x") // no checkpoints at all
	f.write("models/checkpoints/step_1", "x") // a file
	f.checkpoint("runs/mine/step_5")
	f.checkpoint("models/checkpoints/r-two/worker_0/step_40")
	f.checkpoint("models/checkpoints/r-two/worker_0/step_60")
	for _, tt := range []struct {
		name, value string
		want        []string
	}{
		{"complete", dir + "step_100", nil},
		{"complete, by the mount", "/mnt/shared/" + dir + "step_200/", nil},
		{"elsewhere", "/data/step_100", nil},
		{"an address", "s3://bucket/step_100", nil},
		{"relative, outside the layout", "runs/mine/step_5", nil},
		{"relative, outside the layout and missing", "nosuch/step_5", []string{"is not in shared storage", "or remove it to start from the beginning"}},
		{"a bare name", "step_5", []string{"is not in shared storage"}},
		{"out of the storage", "../../etc/passwd", []string{"leads out of shared storage, in which relative paths begin", "name a folder such as models/"}},
		{"out of the storage by a detour", "models/../../step_5", []string{"leads out of shared storage"}},
		{"without .metadata", dir + "step_300", []string{"is an incomplete checkpoint: .metadata is missing", "use " + dir + "step_200"}},
		{"without its place in the data", dir + "step_500", []string{"is an incomplete checkpoint: data/_0.pt is missing", "use " + dir + "step_200"}},
		{"with a damaged .metadata", dir + "step_1000", []string{"is an incomplete checkpoint: .metadata cannot be read: at byte 1", "use " + dir + "step_200"}},
		{"the parent of the steps", "models/checkpoints/r-one", []string{"is an incomplete checkpoint: .metadata is missing", "use " + dir + "step_200"}},
		{"the parent of a worker's steps", "models/checkpoints/r-two/", []string{"use models/checkpoints/r-two/worker_0/step_60"}},
		{"missing", dir + "step_400", []string{"is not in shared storage", "use " + dir + "step_200"}},
		{"missing, by the mount", "/mnt/shared/" + dir + "step_400", []string{"use /mnt/shared/" + dir + "step_200"}},
		{"the run is missing", "models/checkpoints/r-none/step_1", []string{"is not in shared storage", "or remove it to start from the beginning"}},
		{"nothing beside it", "models/checkpoints/file/step_1", []string{"is not in shared storage", "step_100, or remove it"}},
		{"a file", "models/checkpoints/step_1", []string{"is not a folder"}},
		{"of a run with DiLoCo, the same step", "models/checkpoints/r-two/step_40", []string{"use models/checkpoints/r-two/worker_0/step_40"}},
		{"of a run with DiLoCo, another step", "models/checkpoints/r-two/step_50", []string{"use models/checkpoints/r-two/worker_0/step_60"}},
		{"of a worker", "models/checkpoints/r-two/worker_0/step_40", nil},
	} {
		errs, warns := f.CheckPaths(t.Context(), conf(t, "data.fake", "true", "ckpt.resume", tt.value), run.Shape{})
		if len(warns) != 0 || (tt.want == nil) != (len(errs) == 0) || len(errs) > 1 {
			t.Errorf("%s: errors %v, warnings %v", tt.name, errs, warns)
			continue
		}
		for _, part := range tt.want {
			if errs[0].Field != "ckpt.resume" || !strings.Contains(texts(errs), part) {
				t.Errorf("%s: %q does not say %q", tt.name, texts(errs), part)
			}
		}
	}
}

func TestAFolderThatHoldsCheckpointsOfAnotherRunIsWarnedOf(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	f.checkpoint("models/checkpoints/mine/step_100")
	f.checkpoint("models/checkpoints/mine/step_90")
	f.checkpoint("models/checkpoints/diloco/worker_0/step_7")
	f.write("models/checkpoints/notes/readme", "x")
	for _, tt := range []struct {
		pairs []string
		want  string
	}{
		{[]string{"ckpt.path", "models/checkpoints/mine"}, "step_100 is the newest"},
		{[]string{"ckpt.path", "models/checkpoints/diloco/"}, "step_7 is the newest"},
		{[]string{"ckpt.path", "models/checkpoints/mine", "ckpt.resume", "models/checkpoints/mine/step_90"}, "a retry of the run that it resumes from would continue from those"},
		{[]string{"ckpt.path", "models/checkpoints/diloco", "ckpt.resume", "models/checkpoints/diloco/worker_0/step_7"}, "a retry of the run that it resumes from would continue from those"},
		{[]string{"ckpt.path", "models/checkpoints/new"}, ""},
		{[]string{"ckpt.path", "models/checkpoints/notes"}, ""},
		{[]string{"ckpt.path", "models/checkpoints/{run}"}, ""},
		{[]string{"ckpt.path", "/elsewhere/mine"}, ""},
	} {
		errs, warns := f.CheckPaths(t.Context(), conf(t, append(tt.pairs, "data.fake", "true", "ckpt.interval", "10")...), run.Shape{})
		if len(errs) != 0 || (tt.want == "") != (len(warns) == 0) {
			t.Errorf("%v: errors %v, warnings %v", tt.pairs, errs, warns)
			continue
		}
		if tt.want != "" && (!strings.Contains(warns[0].Rule, tt.want) || warns[0].Fix != "use models/checkpoints/{run}, which is another folder for each run") {
			t.Errorf("%v: %v", tt.pairs, warns)
		}
	}
}

func TestRelativePathsBeginInTheStorage(t *testing.T) {
	t.Parallel()
	f := open(t, Options{Mount: "/mnt/shared"})
	f.write("datasets/a/x", "x")
	for value, want := range map[string]int{"datasets/a": 0, "./datasets/a": 0, "datasets/gone": 1, "/mnt/shared/datasets/a": 0, "/mnt/shared/datasets/gone": 1, "/core/datasets/gone": 0} {
		if _, warns := f.CheckPaths(t.Context(), conf(t, "data.dataset_name_or_paths", value), run.Shape{}); len(warns) != want {
			t.Errorf("%s: %v", value, warns)
		}
	}
	for given, want := range map[string][2]string{
		"/mnt/shared/datasets/a": {"datasets/a", "datasets/a"}, "datasets/a": {"datasets/a", "teams/x/datasets/a"}, "../y": {"", "teams/y"}, "/else": {}, "../../../c4": {}, "": {}, "~/a": {}, "s3://a/b": {},
	} {
		for i, folder := range []string{"", "teams/x"} {
			if p, ok := f.Below(folder, given); p != want[i] || ok != (want[i] != "") {
				t.Errorf("%q of %q: %q, %v", given, folder, p, ok)
			}
		}
	}
}

func TestAStorageThatDoesNotAnswerHoldsUpNoForm(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	for range cap(f.slots) {
		f.slots <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	errs, warns := f.CheckPaths(ctx, trainconf.Config{}, run.Shape{})
	if len(errs)+len(warns) != 0 || ctx.Err() != nil {
		t.Errorf("%v, %v, %v", errs, warns, ctx.Err())
	}
	for range cap(f.slots) {
		<-f.slots
	}
}

func TestPathsAreCompletedWhileTheyAreTyped(t *testing.T) {
	t.Parallel()
	f := open(t, Options{Mount: "/mnt/shared"})
	f.write("datasets/fineweb/x", "x")
	f.write("datasets/fineweb-edu/part 1.parquet", "x")
	f.write("datasets/.hidden/x", "x")
	f.write("datasets/a,b/x", "x")
	f.write("datasets/new\nline/x", "x")
	f.write("datasets/bad\xff/x", "x")
	f.link("/etc", "datasets/finder")
	f.link("fineweb", "datasets/fine-link")
	f.link("gone", "datasets/finally")
	for i := range 70 {
		f.write(fmt.Sprintf("models/checkpoints/r-%d/x", i), "x")
	}
	for prefix, want := range map[string][]string{
		"":                         {"configs/", "datasets/", "logs/", "models/"},
		"data":                     {"datasets/"},
		"DATA":                     {"datasets/"},
		"datasets/fine":            {"datasets/fine-link/", "datasets/fineweb/", "datasets/fineweb-edu/"},
		"datasets/FineWeb-":        {"datasets/fineweb-edu/"},
		"datasets/fineweb-edu/":    {"datasets/fineweb-edu/part 1.parquet"},
		"datasets/.h":              {"datasets/.hidden/"},
		"datasets/b":               nil,
		"datasets/a":               nil,
		"/mnt/shared/datasets/raw": {"/mnt/shared/datasets/raw/"},
		"/mnt/shared/":             {"/mnt/shared/configs/", "/mnt/shared/datasets/", "/mnt/shared/logs/", "/mnt/shared/models/"},
		"/mnt/share":               nil,
		"/etc/pass":                nil,
		"../":                      nil,
		"datasets/../":             nil,
		"gone/x":                   nil,
		"datasets/finder/pass":     nil,
		"\x00":                     nil,
		"allenai/c4":               nil,
	} {
		got, err := f.Complete(t.Context(), prefix, 0)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v, want %q", prefix, got, err, want)
		}
	}
	got, err := f.Complete(t.Context(), "models/checkpoints/r-", 5)
	if err != nil || !slices.Equal(got, []string{"models/checkpoints/r-0/", "models/checkpoints/r-1/", "models/checkpoints/r-2/", "models/checkpoints/r-3/", "models/checkpoints/r-4/"}) {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := f.Complete(t.Context(), "models/checkpoints/", 1000); err != nil || len(got) != MaxCompletions {
		t.Errorf("%d, %v", len(got), err)
	}
}

func TestTheDistanceOfNamesIsThatOfLevenshtein(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"dataset", "datasets", 1}, {strings.Repeat("a", 65), "a", 65}} {
		if got := distance(tt.a, tt.b); got != tt.want || distance(tt.b, tt.a) != got {
			t.Errorf("%q %q: %d", tt.a, tt.b, got)
		}
	}
}
