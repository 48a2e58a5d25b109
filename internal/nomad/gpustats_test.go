package nomad

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/run"
)

func TestGPUStatsAreThoseOfTheNvidiaPlugin(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	f.HandleFunc("GET /v1/client/stats", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("node_id") != "n1" {
			t.Errorf("asked for %s", r.URL)
		}
		_, _ = w.Write([]byte(`{"DeviceStats":[null,{"Vendor":"nvidia","Type":"gpu","Name":"A100","InstanceStats":{
			"b":{"Stats":{"Attributes":{"GPU utilization":{"IntNumeratorVal":87,"Unit":"%"},"Memory state":{"IntNumeratorVal":40960,"IntDenominatorVal":81920,"Unit":"MiB"},
				"Power usage":{"StringVal":"N/A"},"Temperature":{"IntNumeratorVal":63}}}},
			"a":{"Stats":{"Attributes":{"GPU utilization":{"IntNumeratorVal":0}}}}, "c":{"Stats":{"Attributes":{"Memory state":{"StringVal":"N/A"}}}}, "d":null}}]}`))
	})
	got, err := c.GPUStats(t.Context(), "n1")
	if err != nil {
		t.Fatal(err)
	}
	want := []run.GPUStats{
		{ID: "a", Utilization: new(int64(0))},
		{ID: "b", Utilization: new(int64(87)), MemoryUsed: new(int64(40960)), MemoryTotal: new(int64(81920)), Temperature: new(int64(63))},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
