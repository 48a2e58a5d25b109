package bench

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/run"
	view "github.com/cotrain/cotrain/views/cluster"
	"github.com/cotrain/cotrain/views/ui"
)

// measuredNodes is the largest measurement.
const measuredNodes = measure.MaxNodes

func measuredReports() []measure.Report {
	at := time.Unix(1_800_000_000, 0)
	out := make([]measure.Report, measuredNodes)
	for i := range out {
		out[i] = measure.Report{Node: measure.Participant{ID: fmt.Sprintf("node-%d", i), Name: fmt.Sprintf("n%d", i), Site: fmt.Sprintf("site-%d", i%4), GPUs: []string{"nvidia/gpu/A100"}}, Facts: measure.Facts{At: at}, Links: make(map[string]measure.Link, measuredNodes)}
		for j := range out {
			if i != j {
				out[i].Links[fmt.Sprintf("node-%d", j)] = measure.Link{At: at, RoundTrip: time.Duration(1000 + (i*j)%97), Bandwidth: 1e9 + float64((i*31+j*17)%1000)*1e6, BandwidthAt: at}
			}
		}
	}
	return out
}

// BenchmarkMeasured analyses and shows what 256 nodes have measured of each other: the first happens once for each measurement, the
// second for each view of the page, and the third for each change in the form.
func BenchmarkMeasured(b *testing.B) {
	reports := measuredReports()
	m := measure.NewMatrix(reports)
	known := &measure.Known{Last: measure.Measurement{ID: "m", State: measure.Done}, Matrix: m, Problems: m.Problems(measure.Measurement{})}
	b.Run("analyse", func(b *testing.B) {
		for b.Loop() {
			m := measure.NewMatrix(reports)
			if len(m.Problems(measure.Measurement{})) > measuredNodes {
				b.Fatal("all is well")
			}
		}
	})
	b.Run("page", func(b *testing.B) {
		list := view.NodeList{Nodes: []run.Node{{ID: "a"}}, Network: view.Network{Known: known}}
		for b.Loop() {
			if err := view.NodesPage(ui.Page{}, list).Render(b.Context(), io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("form", func(b *testing.B) {
		for b.Loop() {
			d := measure.Demand{Workers: 8, GPUs: 1, Model: "A100"}
			if _, of := m.Slowest(d); of == 0 {
				b.Fatal("nothing is known")
			}
			m.FastestSite(d)
		}
	})
}
