package measure_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/measure"
)

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// cluster has nodes n0, n1, ... of the sites given, each with two A100, fully meshed with 10 Gbit/s and 1 ms within a site, a tenth
// of the one and ten times the other between two.
func cluster(sites ...string) []measure.Report {
	var out []measure.Report
	for i, s := range sites {
		out = append(out, measure.Report{Node: measure.Participant{ID: fmt.Sprintf("id-%d", i), Name: fmt.Sprintf("n%d", i), Site: s, GPUs: []string{"nvidia/gpu/A100", "nvidia/gpu/A100"}}, Facts: measure.Facts{At: at, Disk: measure.Disk{Free: 50, Total: 100}}, Links: map[string]measure.Link{}})
	}
	for i := range out {
		for j := range out {
			l := measure.Link{At: at, RoundTrip: time.Millisecond, RoundTripMin: time.Millisecond, Bandwidth: 1e10, BandwidthAt: at}
			if sites[i] != sites[j] {
				l.RoundTrip, l.Bandwidth = 10*time.Millisecond, 1e9
			}
			if i != j {
				out[i].Links[out[j].Node.ID] = l
			}
		}
	}
	return out
}

func change(reports []measure.Report, from, to int, fn func(*measure.Link)) {
	l := reports[from].Links[reports[to].Node.ID]
	fn(&l)
	reports[from].Links[reports[to].Node.ID] = l
}

func TestProblemsNameWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		do   func(r []measure.Report) measure.Measurement
		want []string
	}{
		{"nothing", nil, nil},
		{"a node that did not come", func(r []measure.Report) measure.Measurement {
			for i := range r {
				if i != 1 {
					change(r, i, 1, func(l *measure.Link) { *l = measure.Link{At: at, Error: "it did not come"} })
				}
			}
			r[1].Links = nil
			return measure.Measurement{Nodes: []measure.Participant{{ID: "id-1", Name: "n1", Problem: "the node is down"}}}
		}, []string{"no-report: n1 reported nothing: the node is down."}},
		{"a firewall around one", func(r []measure.Report) measure.Measurement {
			for i := range r {
				if i != 2 {
					change(r, i, 2, func(l *measure.Link) { *l = measure.Link{At: at, Error: "connection refused"} })
				}
			}
			return measure.Measurement{}
		}, []string{"unreachable: n2 is not reached by 4 of 4 nodes: connection refused."}},
		{"one way", func(r []measure.Report) measure.Measurement {
			change(r, 0, 3, func(l *measure.Link) { *l = measure.Link{At: at, Error: "time-out"} })
			return measure.Measurement{}
		}, []string{"unreachable: n0 does not reach n3: time-out."}},
		{"ports", func(r []measure.Report) measure.Measurement {
			for i := range 4 {
				change(r, i, 4, func(l *measure.Link) { l.Closed = []string{measure.EphemeralPort} })
			}
			change(r, 0, 1, func(l *measure.Link) { l.Closed = []string{measure.NextPort} })
			return measure.Measurement{}
		}, []string{"port: The next port of n1 is closed to n0.", "port: The ephemeral port of n4 is closed to 4 of 4 nodes."}},
		{"a slow link", func(r []measure.Report) measure.Measurement {
			change(r, 0, 1, func(l *measure.Link) { l.Bandwidth = 1e9 })
			change(r, 1, 0, func(l *measure.Link) { l.Bandwidth = 1e9 })
			return measure.Measurement{}
		}, []string{"slow: n0 to n1 is slow: 1.00 Gbit/s, where 10.0 Gbit/s is usual.", "slow: n1 to n0 is slow: 1.00 Gbit/s, where 10.0 Gbit/s is usual."}},
		{"a slow node", func(r []measure.Report) measure.Measurement {
			for i := range 4 {
				for _, p := range [][2]int{{i, 4}, {4, i}} {
					if i != 4 {
						change(r, p[0], p[1], func(l *measure.Link) { l.Bandwidth = 1e8 })
					}
				}
			}
			return measure.Measurement{}
		}, []string{"slow: n4 is slow: 100 Mbit/s to and from others of a, where 10.0 Gbit/s is usual."}},
		{"a slower direction", func(r []measure.Report) measure.Measurement {
			change(r, 2, 1, func(l *measure.Link) { l.Bandwidth = 3.4e9 })
			change(r, 1, 2, func(l *measure.Link) { l.Bandwidth = 2e10 })
			return measure.Measurement{}
		}, []string{"asymmetric: n2 to n1 takes 3.40 Gbit/s, and back 20.0 Gbit/s."}},
		{"a clock", func(r []measure.Report) measure.Measurement {
			for i := range 5 {
				if i != 3 {
					change(r, i, 3, func(l *measure.Link) { l.Offset = -90 * time.Second })
					change(r, 3, i, func(l *measure.Link) { l.Offset = 90 * time.Second })
				}
			}
			return measure.Measurement{}
		}, []string{"clock: The clock of n3 is 1m30s behind the others'."}},
		{"GPUs and disks", func(r []measure.Report) measure.Measurement {
			r[0].Facts.GPUs = []measure.GPUHealth{{ID: "GPU-1", Problems: []string{"2 ECC errors that were not corrected"}}}
			r[1].Facts.GPUError = "no driver"
			r[2].Facts.Disk.Free = 3
			r[3].Facts.Storage = &measure.Disk{Error: "permission denied"}
			r[0].Facts.Storage, r[1].Facts.Storage = &measure.Disk{Free: 1, Total: 100}, &measure.Disk{Free: 1, Total: 100}
			return measure.Measurement{}
		}, []string{
			"gpu: GPU GPU-1 of n0: 2 ECC errors that were not corrected.", "gpu: The GPUs of n1 cannot be asked: no driver.",
			"disk: The disk of n2 is 97 % full.", "disk: Shared storage on n3: permission denied.",
			"disk: Shared storage is 99 % full.",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			reports := cluster("a", "a", "a", "a", "a")
			var last measure.Measurement
			if c.do != nil {
				last = c.do(reports)
			}
			var got []string
			for _, p := range measure.NewMatrix(reports).Problems(last) {
				got = append(got, p.Kind+": "+p.What)
				if p.Fix == "" || p.Node == "" {
					t.Errorf("%+v", p)
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestLinksBetweenSitesAreNotSlowForBeingFar(t *testing.T) {
	t.Parallel()
	m := measure.NewMatrix(cluster("b", "a", "b", "a"))
	if p := m.Problems(measure.Measurement{}); len(p) > 0 {
		t.Errorf("%+v", p)
	}
	var got []string
	for _, row := range m.BetweenSites() {
		for _, s := range row {
			got = append(got, fmt.Sprintf("%s %s %s %s %d", s.From, s.To, measure.Bits(s.Bandwidth), measure.Trip(s.RoundTrip), s.Known))
		}
	}
	want := []string{"a a 10.0 Gbit/s 1.00 ms 2", "a b 1.00 Gbit/s 10.0 ms 4", "b a 1.00 Gbit/s 10.0 ms 4", "b b 10.0 Gbit/s 1.00 ms 2"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestThePlannerGetsTheSlowestWayThatARunCouldTake(t *testing.T) {
	t.Parallel()
	reports := cluster("a", "a", "b", "b", "b")
	change(reports, 2, 3, func(l *measure.Link) { l.Bandwidth = 5e9 })
	reports[4].Node.GPUs = []string{"nvidia/gpu/H100"}
	m := measure.NewMatrix(reports)
	for _, c := range []struct {
		name string
		d    measure.Demand
		bits float64
		of   int
		site string
	}{
		{"anywhere", measure.Demand{Workers: 2}, 1e9, 20, "a"},
		{"one worker has no way", measure.Demand{Workers: 1}, 0, 0, ""},
		{"in a site", measure.Demand{Workers: 2, Site: "b"}, 5e9, 6, "a"},
		{"with GPUs of a model", measure.Demand{Workers: 2, GPUs: 2, Model: "A100", Site: "b"}, 5e9, 2, "a"},
		{"that only one node has", measure.Demand{Workers: 2, GPUs: 1, Model: "nvidia/gpu/H100"}, 0, 0, ""},
		{"more than any node has", measure.Demand{Workers: 2, GPUs: 3}, 0, 0, ""},
		{"more nodes than one site has", measure.Demand{Workers: 3}, 1e9, 20, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			way, of := m.Slowest(c.d)
			site, _ := m.FastestSite(c.d)
			if way.Bandwidth != c.bits || of != c.of || site != c.site {
				t.Errorf("%v of %d, fastest site %q", way, of, site)
			}
		})
	}
}

func TestANodeSpeaksOnlyOfItselfAndTakesNothingThatCannotBe(t *testing.T) {
	t.Parallel()
	nodes := []measure.Participant{{ID: "me"}, {ID: "you"}}
	in := measure.NewIntake(nodes[0], nodes, at)
	line := func(l measure.Line) string {
		b, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		return measure.Prefix + string(b) + "\n"
	}
	good := measure.Link{RoundTrip: time.Millisecond, Offset: 7, Closed: []string{"next", "x", "next"}, At: at.Add(1e6 * time.Hour), Error: ""}
	in.Take([]byte("starting\n" + line(measure.Line{Kind: measure.LinkLine, To: "you", Link: &good}) +
		line(measure.Line{Kind: measure.BandwidthLine, To: "you", Link: &measure.Link{Bandwidth: 5, RoundTrip: time.Hour}}) +
		line(measure.Line{Kind: measure.LinkLine, To: "me", Link: &good}) + line(measure.Line{Kind: measure.LinkLine, To: "stranger", Link: &good}) +
		line(measure.Line{Kind: measure.LinkLine, To: "you"}) + line(measure.Line{Kind: "else"}) +
		measure.Prefix + "{\n" + measure.Prefix + strings.Repeat("x", 40<<10) + "\n" + measure.Prefix + `{"kind":"measured_link","to":"you","link":{"bandwidth_bits_per_second":1e400}}` + "\n"))
	want := map[string]measure.Link{"you": {At: at, RoundTrip: time.Millisecond, Offset: 7, Closed: []string{"next"}, Bandwidth: 5, BandwidthAt: at}}
	if d := cmp.Diff(want, in.Report.Links); d != "" || in.Ignored != 7 || in.Ended {
		t.Errorf("%d ignored, ended %v: %s", in.Ignored, in.Ended, d)
	}
	in.Take([]byte(line(measure.Line{Kind: measure.LinkLine, To: "you", Link: &measure.Link{Error: "a\x1b[31mb\n\u202e" + strings.Repeat("c", 999), RoundTrip: -1, Bandwidth: -3}}) +
		line(measure.Line{Kind: measure.FactsLine, Facts: &measure.Facts{MemoryTotal: 5, MemoryAvailable: 9, Disk: measure.Disk{Free: 9, Total: 3, Read: -1}, GPUs: make([]measure.GPUHealth, 1000)}}) +
		line(measure.Line{Kind: measure.DoneLine})))
	l, f := in.Report.Links["you"], in.Report.Facts
	if len(l.Error) > 300 || !strings.HasPrefix(l.Error, "a [31mb  c") || l.RoundTrip != 0 || !in.Ended {
		t.Errorf("link %+v", l)
	}
	if f.MemoryAvailable != 5 || f.Disk.Free != 3 || f.Disk.Read != 0 || len(f.GPUs) != 64 || f.At != at {
		t.Errorf("facts %+v", f)
	}
}

func TestAnOlderBandwidthStaysUnlessTheNodeIsGone(t *testing.T) {
	t.Parallel()
	before := measure.Link{At: at, Bandwidth: 7, BandwidthAt: at}
	later := at.Add(time.Hour)
	for _, c := range []struct {
		name  string
		newer measure.Link
		bits  float64
		at    time.Time
	}{
		{"only the round trip is new", measure.Link{At: later, RoundTrip: 1}, 7, at},
		{"measured anew", measure.Link{At: later, Bandwidth: 9, BandwidthAt: later}, 9, later},
		{"tried in vain", measure.Link{At: later, RoundTrip: 1, BandwidthError: "broken"}, 0, time.Time{}},
		{"not reached", measure.Link{At: later, Error: "refused"}, 0, time.Time{}},
	} {
		if got := before.Merge(c.newer); got.Bandwidth != c.bits || !got.BandwidthAt.Equal(c.at) || !got.At.Equal(later) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
