package nomad

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/jobs"
)

// evaluate reads a variables file as Nomad does: HCL attributes without any variables or functions.
func evaluate(t *testing.T, text string) map[string]cty.Value {
	t.Helper()
	file, diags := hclsyntax.ParseConfig([]byte(text), "vars.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatalf("%v in %.500q", diags, text)
	}
	attrs, diags := file.Body.JustAttributes()
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	out := map[string]cty.Value{}
	for name, a := range attrs {
		v, diags := a.Expr.Value(nil)
		if diags.HasErrors() {
			t.Fatalf("%s: %v", name, diags)
		}
		out[name] = v
	}
	return out
}

func FuzzQuotedTextIsTheTextItself(f *testing.F) {
	for _, s := range []string{"", "plain", "${x}", "$${x}", "$$${x}", "%{if}", "%%{", "$", "%", "\\${", "a\"b\nc\td\\", "{{ x }}", "é 漢 \u2028", "\x00\x1f\x7f", "\r\n", "$\u007f{"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "\uFFFD")
		got := evaluate(t, "v = "+quote(s)+"\n")["v"].AsString()
		if want := cty.StringVal(s).AsString(); got != want { // cty normalises to NFC
			t.Errorf("%q becomes %q", s, got)
		}
	})
}

func TestVariablesHoldShapeSettingsAndScripts(t *testing.T) {
	t.Parallel()
	shape := run.Shape{Nodes: 3, GPUs: 2, GPUModel: "nvidia/gpu/NVIDIA A100-SXM4-80GB", GPUMinMemory: 40960, Memory: 2048, Site: "ams"}
	settings := JobSettings{
		Driver: "docker", Image: "example/cotrain:1", Command: []string{"/bin/x", "${y}"}, KillTimeout: 90 * time.Second,
		Datacenters: []string{"a", "b*"}, Env: map[string]string{"A": "1", "B": "$x"}, RendezvousTimeout: time.Minute,
		Storage: "/srv/cotrain", StorageVolume: "cotrain",
	}
	got := evaluate(t, settings.variables(shape))
	for name, want := range map[string]cty.Value{
		"job_id": cty.StringVal(shape.ParentJob()), "nodes": cty.NumberIntVal(3), "gpus": cty.NumberIntVal(2),
		"gpu_device": cty.StringVal(shape.GPUModel), "gpu_min_memory": cty.NumberIntVal(40960),
		"cpu": cty.NumberIntVal(run.DefaultWorkerCPU), "memory": cty.NumberIntVal(2048),
		"driver": cty.StringVal("docker"), "image": cty.StringVal("example/cotrain:1"),
		"command":      cty.TupleVal([]cty.Value{cty.StringVal("/bin/x"), cty.StringVal("${y}")}),
		"kill_timeout": cty.StringVal("1m30s"), "rendezvous_timeout": cty.NumberIntVal(60),
		"site": cty.StringVal("ams"), "storage": cty.StringVal("/srv/cotrain"), "storage_volume": cty.StringVal("cotrain"),
		"datacenters":   cty.TupleVal([]cty.Value{cty.StringVal("a"), cty.StringVal("b*")}),
		"env":           cty.ObjectVal(map[string]cty.Value{"A": cty.StringVal("1"), "B": cty.StringVal("$x")}),
		"launch_script": cty.StringVal(jobs.LaunchScript), "shim": cty.StringVal(jobs.WandbShim),
	} {
		if v, ok := got[name]; !ok || !v.RawEquals(want) {
			t.Errorf("%s is %#v, want %#v", name, v, want)
		}
	}
	for _, name := range []string{"gpu_model", "node_pool", "work_dir", "log_files"} {
		if _, ok := got[name]; ok {
			t.Errorf("%s is set although nothing was said about it: the job file's default would be lost", name)
		}
	}
}

func TestTheJobFileDeclaresEveryVariableThatIsSent(t *testing.T) {
	t.Parallel()
	full := JobSettings{
		Driver: "x", Image: "x", Volumes: []string{"x"}, ShmMB: 1, Command: []string{"x"}, Trainer: "x", WorkDir: "x", Interface: "x",
		NodePool: "x", Datacenters: []string{"x"}, Priority: 1, Env: map[string]string{"X": "x"}, KillTimeout: 1, LostAfter: 1,
		RendezvousTimeout: time.Second, LogFiles: 1, LogFileMB: 1, Disk: 1, Storage: "/x", StorageVolume: "x",
	}
	shape := run.Shape{Nodes: 1, GPUs: 1, GPUModel: "bare", GPUMinMemory: 1, Site: "x"}
	for name := range evaluate(t, full.variables(shape)) {
		if !strings.Contains(jobs.CotrainCore, `variable "`+name+`" {`) {
			t.Errorf("variable %q is not in jobs/cotrain-core.nomad.hcl", name)
		}
	}
}

func TestGPUModelsBecomeDevices(t *testing.T) {
	t.Parallel()
	for model, want := range map[string][2]string{
		"": {"gpu", ""}, "gpu": {"gpu", ""}, "A100": {"gpu", "A100"}, "nvidia/gpu": {"nvidia/gpu", ""}, "nvidia/gpu/A100": {"nvidia/gpu/A100", ""},
	} {
		if device, exact := gpuDevice(model); [2]string{device, exact} != want {
			t.Errorf("%q gives %q, %q; want %q", model, device, exact, want)
		}
	}
}

func TestContentHashChangesWithFileAndVariables(t *testing.T) {
	t.Parallel()
	a := contentHash("file", "vars")
	if a != contentHash("file", "vars") || a == contentHash("file", "vars2") || a == contentHash("file2", "vars") || a == contentHash("filev", "ars") {
		t.Error("the hash does not tell contents apart")
	}
}

func TestShapesWithoutASiteKeepTheirVariables(t *testing.T) {
	t.Parallel()
	shape := run.Shape{Nodes: 1, Memory: 64}
	got := evaluate(t, JobSettings{}.variables(shape))
	for _, name := range []string{"site", "storage", "storage_volume"} {
		if _, ok := got[name]; ok {
			t.Errorf("%s is set although nothing was said about it", name)
		}
	}
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for name, j := range map[string]JobSettings{
		"relative storage": {Storage: "data"}, "storage with a colon": {Storage: "/a:b"}, "a volume without a path": {StorageVolume: "v"},
		"a container without an image": {Driver: "docker"}, "an odd variable": {Env: map[string]string{"A B": "x"}}, "a negative time": {LostAfter: -1},
	} {
		if _, err := New(Config{Address: "http://127.0.0.1:1", Job: j}); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestASiteMustBeWhereWorkersMayRun(t *testing.T) {
	t.Parallel()
	for site, ok := range map[string]bool{"": true, "ams": true, "fra-2": true, "nyc": false, strings.Repeat("a", 201): false} {
		c, err := New(Config{Address: "http://127.0.0.1:1", Job: JobSettings{Datacenters: []string{"ams", "fra-*"}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.checkShape(run.Shape{Nodes: 1, Site: site}); (err == nil) != ok || err != nil && !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("site %.20q: %v", site, err)
		}
	}
}
