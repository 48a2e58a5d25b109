package nomad

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/run"
)

func TestANodeSaysWhatItsMachineUses(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	f.HandleFunc("GET /v1/client/stats", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("node_id") != "n1" {
			t.Errorf("asked for %s", r.URL)
		}
		_, _ = w.Write([]byte(`{"Timestamp":1796024284000000000,"Memory":{"Total":64000000000,"Used":16000000000},"CPU":[{"CPU":"cpu0","Idle":25},{"CPU":"cpu1","Idle":75},null],
			"AllocDirStats":{"Size":1000,"Used":400},"DeviceStats":[null,{"Vendor":"nvidia","Type":"gpu","Name":"A100","InstanceStats":{
			"b":{"Stats":{"Attributes":{"GPU utilization":{"IntNumeratorVal":87,"Unit":"%"},"Memory state":{"IntNumeratorVal":40960,"IntDenominatorVal":81920,"Unit":"MiB"},
				"Power usage":{"IntNumeratorVal":312,"IntDenominatorVal":400,"Unit":"W"},"Temperature":{"IntNumeratorVal":63},"ECC memory errors":{"IntNumeratorVal":2,"Unit":"#"}}}},
			"a":{"Stats":{"Attributes":{"GPU utilization":{"IntNumeratorVal":0}}}}, "c":{"Stats":{"Attributes":{"Memory state":{"StringVal":"N/A"}}}}, "d":null}}]}`))
	})
	got, err := c.NodeUsage(t.Context(), "n1")
	if err != nil {
		t.Fatal(err)
	}
	want := run.NodeUsage{
		At: time.Unix(1796024284, 0), CPU: new(50.0), MemoryUsed: new(int64(16e9)), MemoryTotal: new(int64(64e9)), DiskUsed: new(int64(400)), DiskTotal: new(int64(1000)),
		GPUs: []run.GPUStats{
			{ID: "a", Utilization: new(int64(0))},
			{
				ID: "b", Utilization: new(int64(87)), MemoryUsed: new(int64(40960)), MemoryTotal: new(int64(81920)), Temperature: new(int64(63)),
				Power: new(int64(312)), PowerLimit: new(int64(400)), ECCErrors: new(int64(2)),
			},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestStatisticsThatCannotBeAreNotKnown(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		attributes string
		want       run.GPUStats
	}{
		"not available": {`"GPU utilization":{"StringVal":"N/A"},"Temperature":{}`, run.GPUStats{ID: "a"}},
		"negative":      {`"GPU utilization":{"IntNumeratorVal":-1,"Unit":"%"},"Memory state":{"IntNumeratorVal":-5,"IntDenominatorVal":10,"Unit":"MiB"}`, run.GPUStats{ID: "a", MemoryTotal: new(int64(10))}},
		"absurd": {
			`"GPU utilization":{"IntNumeratorVal":4294967295},"Power usage":{"IntNumeratorVal":9223372036854775807,"Unit":"W"},"Temperature":{"FloatNumeratorVal":1e300}`, run.GPUStats{ID: "a"},
		},
		"in other units": {
			`"GPU Utilization":{"FloatNumeratorVal":12.4,"Unit":"percent"},"memory_state":{"IntNumeratorVal":8,"IntDenominatorVal":64,"Unit":"GiB"},"power-usage":{"IntNumeratorVal":250000,"Unit":"mW"}`,
			run.GPUStats{ID: "a", Utilization: new(int64(12)), MemoryUsed: new(int64(8192)), MemoryTotal: new(int64(65536)), Power: new(int64(250))},
		},
		"in a unit that is not known": {`"Temperature":{"IntNumeratorVal":140,"Unit":"°F"},"Junction temperature":{"IntNumeratorVal":70}`, run.GPUStats{ID: "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, c := newFake(t)
			f.HandleFunc("GET /v1/client/stats", func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(`{"Timestamp":-1,"Memory":{"Total":0,"Used":5},"CPU":[{"Idle":-3},{"Idle":170}],"AllocDirStats":{"Size":18446744073709551615,"Used":1},
					"DeviceStats":[{"InstanceStats":{"a":{"Stats":{"Attributes":{` + test.attributes + `}}}}}]}`))
			})
			got, err := c.NodeUsage(t.Context(), "n1")
			if err != nil {
				t.Fatal(err)
			}
			want := run.NodeUsage{DiskUsed: new(int64(1))}
			if test.want != (run.GPUStats{ID: "a"}) {
				want.GPUs = []run.GPUStats{test.want}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestANodeSaysWhatAWorkersProcessesUse(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer string
		want   run.TaskUsage
	}{
		"raw_exec": {
			`{"Timestamp":0,"Tasks":{"trainer":{"Timestamp":1796024284000000000}},"ResourceUsage":{"CpuStats":{"Percent":780.5,"Measured":["System Mode","User Mode","Percent"]},"MemoryStats":{"RSS":4000000000,"Measured":["RSS","Swap"]}}}`,
			run.TaskUsage{At: time.Unix(1796024284, 0), CPU: new(780.5), Memory: new(int64(4e9))},
		},
		"docker": {
			`{"Tasks":{"t":null},"ResourceUsage":{"CpuStats":{"Percent":10},"MemoryStats":{"Usage":5000,"MaxUsage":9000}}}`,
			run.TaskUsage{CPU: new(10.0), Memory: new(int64(5000)), MemoryPeak: new(int64(9000))},
		},
		"nothing":                     {`{}`, run.TaskUsage{}},
		"a client that does not look": {`{"ResourceUsage":{"CpuStats":{"Measured":null,"Percent":0},"MemoryStats":{"RSS":0}},"Tasks":{}}`, run.TaskUsage{}},
		"nonsense":                    {`{"Tasks":{"t":{"Timestamp":-1}},"ResourceUsage":{"CpuStats":{"Percent":-4},"MemoryStats":{"RSS":18446744073709551615}}}`, run.TaskUsage{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, c := newFake(t)
			f.HandleFunc("GET /v1/client/allocation/{id}/stats", func(w http.ResponseWriter, r *http.Request) {
				if r.PathValue("id") != "a1" || r.URL.Query().Get("namespace") != "vision" {
					t.Errorf("asked for %s", r.URL)
				}
				_, _ = w.Write([]byte(test.answer))
			})
			got, err := c.TaskUsage(t.Context(), "cotrain-core-abcdefghijkl.vision/dispatch-1", "a1")
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
