package trainconf

import (
	"bytes"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
)

// fullRequest sets every field that a run may set, with options beside.
func fullRequest(tb testing.TB) Request {
	tb.Helper()
	p, _ := PresetByName("10B-diloco")
	r := RequestOfPreset(p)
	r.Name = "full"
	for _, f := range Fields() {
		if !f.Secret && !r.Config.has(f.Path) && f.Path != "data.data_rank" && f.Path != "data.data_world_size" {
			if err := r.Set(f.Path, f.Example()); err != nil {
				tb.Fatal(err)
			}
		}
	}
	for _, pair := range []string{"optim.optim.type=soap", "optim.num_chunks=", "data.data_rank=0", "data.data_world_size=8", "tags=a,b,c",
		"env=NCCL_DEBUG=INFO\nZERO_BAND_OPTIM_OPTIM_LR=0.0001", "args=--train.torch_compile=false", "description=all of it", "priority=60", "max_duration=12h", "retries=3",
		"ckpt.remote.interval=1000", "train.fused_linear_ce=false", "optim.num_chunks=8"} {
		if err := r.Assign(pair); err != nil {
			tb.Fatal(err)
		}
	}
	if errs, _ := r.Check(); len(errs) > 0 {
		tb.Fatal(errs)
	}
	if n := len(r.Config.Paths()); n != len(schema)-1 {
		tb.Fatalf("%d of %d fields are set", n, len(schema)-1)
	}
	return r
}

// asStruct makes a struct with the tables and keys of the configuration, and fills it in: what a program would encode that knows
// nothing of rules.
func asStruct(tb testing.TB, c Config, table string) reflect.Value {
	tb.Helper()
	type member struct {
		key   string
		value reflect.Value
	}
	var members []member
	seen := map[string]bool{}
	for _, f := range Fields() {
		text, set := c.Get(f.Path)
		key, _, nested := strings.Cut(strings.TrimPrefix(f.Path, prefixOf(table)), ".")
		switch {
		case !strings.HasPrefix(f.Path, prefixOf(table)) || seen[key]:
			continue
		case nested:
			members = append(members, member{key, asStruct(tb, c, prefixOf(table)+key)})
		case set:
			members = append(members, member{key, reflect.ValueOf(goValue(tb, f, text))})
		default:
			continue
		}
		seen[key] = true
	}
	fields := make([]reflect.StructField, len(members))
	for i, m := range members {
		fields[i] = reflect.StructField{Name: "F" + strconv.Itoa(i), Type: m.value.Type(), Tag: reflect.StructTag(fmt.Sprintf("toml:%q", m.key))}
	}
	out := reflect.New(reflect.StructOf(fields)).Elem()
	for i, m := range members {
		out.Field(i).Set(m.value)
	}
	return out
}

func goValue(tb testing.TB, f Field, text string) any {
	tb.Helper()
	switch f.Type {
	case Int, IntOrBool:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
		return text == "true"
	case Float:
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			tb.Fatal(err)
		}
		return v
	case Bool:
		return text == "true"
	}
	return text
}

func TestTheBaselineOfTheBenchmarkEncodesTheSame(t *testing.T) {
	t.Parallel()
	r := fullRequest(t)
	var b bytes.Buffer
	if err := toml.NewEncoder(&b).Encode(asStruct(t, r.Config, "").Interface()); err != nil {
		t.Fatal(err)
	}
	if back, err := Parse(b.Bytes()); err != nil || back != r.Config {
		t.Errorf("the struct encodes something else: %v\n%s", err, b.Bytes())
	}
}

// BenchmarkFullConfiguration checks a request with every field set, works out what each input of a form would show, and encodes
// it. The baseline, alternating with it, is the TOML library encoding a struct with the same values.
func BenchmarkFullConfiguration(b *testing.B) {
	r := fullRequest(b)
	bare := asStruct(b, r.Config, "").Interface()
	var ours, theirs time.Duration
	var out bytes.Buffer
	size := 0
	for b.Loop() {
		start := time.Now()
		errs, warns := r.Check()
		marked := 0
		for _, f := range AllFields() {
			if r.Changed(f.Path) {
				marked++
			}
			size += len(r.Get(f.Path))
		}
		s := r.Submission()
		mid := time.Now()
		out.Reset()
		err := toml.NewEncoder(&out).Encode(bare)
		theirs += time.Since(mid)
		ours += mid.Sub(start)
		if err != nil || len(errs) > 0 || len(warns) == 0 || marked == 0 || len(s.Config) < 500 || size == 0 {
			b.Fatal(err, errs, len(s.Config))
		}
	}
	b.ReportMetric(float64(ours.Microseconds())/float64(b.N), "us/op")
	b.ReportMetric(float64(theirs.Microseconds())/float64(b.N), "baseline-us/op")
	b.ReportMetric(float64(ours)/float64(theirs), "x-baseline")
}

// BenchmarkEstimate is what the panel beside the form costs at each change.
func BenchmarkEstimate(b *testing.B) {
	r := fullRequest(b)
	r.Shape.GPUModel = "NVIDIA H100 80GB HBM3"
	for b.Loop() {
		if e := r.Estimate(EstimateInput{BandwidthBits: 1e9}); e.SyncShare == 0 {
			b.Fatal("nothing was estimated")
		}
	}
}

// BenchmarkImport reads a script with TOML in it.
func BenchmarkImport(b *testing.B) {
	for b.Loop() {
		if im := Import([]byte(pasted)); len(im.Understood) == 0 {
			b.Fatal("nothing was understood")
		}
	}
}
