package cluster_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// reports are n nodes in two sites that have measured each other an hour ago.
func reports(n int) []measure.Report {
	at := webtest.Now.Add(-time.Hour)
	var out []measure.Report
	for i := range n {
		r := measure.Report{Node: measure.Participant{ID: fmt.Sprintf("id-%d", i), Name: fmt.Sprintf("n%d", i), Site: []string{"ams", "fra"}[i%2]}, Links: map[string]measure.Link{}}
		r.Facts = measure.Facts{At: at, Disk: measure.Disk{Write: 1 << 30, Read: 2 << 30, Free: 1 << 40, Total: 2 << 40}, GPUs: []measure.GPUHealth{{ID: "a"}, {ID: "b", Problems: []string{"lost"}}}}
		for j := range n {
			if i != j {
				r.Links[fmt.Sprintf("id-%d", j)] = measure.Link{At: at, RoundTrip: time.Millisecond / 2, RoundTripMin: time.Millisecond / 4, Bandwidth: 1e10, BandwidthAt: at}
			}
		}
		out = append(out, r)
	}
	return out
}

func known(last measure.Measurement, r []measure.Report) *measure.Known {
	m := measure.NewMatrix(r)
	return &measure.Known{Last: last, Matrix: m, Problems: m.Problems(last)}
}

func nodes() []run.Node {
	return []run.Node{
		{ID: "id-0", Name: "n0", Datacenter: "ams", Status: "ready", Eligible: true, GPUs: []run.GPU{{ID: "a"}}, Uses: []run.GPUUse{{Job: "j", Rank: 0}, {Job: "other", Rank: -1}}},
		{ID: "id-1", Name: "n1", Datacenter: "fra", Status: "ready", Eligible: true},
	}
}

func TestTheMatrixShowsWhatWasMeasuredAndWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := webtest.New(t, func(d *web.Deps) {
		d.Distances = func() *run.Distances {
			return &run.Distances{Sites: []string{"ams", "osl"}, RoundTrips: [][]time.Duration{{9e6, 8e6}, {8e6, 9e6}}, At: webtest.Now}
		}
	})
	s.Fake.AllNodes = nodes()
	r := reports(4)
	l := r[0].Links["id-2"]
	l.Error = "<b>refused</b>"
	r[0].Links["id-2"] = l
	slow := r[1].Links["id-2"]
	slow.Bandwidth, slow.BandwidthAt = 1e9, slow.At.Add(-time.Hour)
	r[1].Links["id-2"] = slow
	s.Fake.Known = known(measure.Measurement{ID: "m-1", State: measure.Done, Actor: "ann", EndedAt: webtest.Now.Add(-time.Hour), Nodes: make([]measure.Participant, 4)}, r)
	a := s.Get("/cluster", 200)
	for selector, want := range map[string]string{
		"[data-measurement=done] time":                                               "1 h ago",
		`[data-matrix=nodes] [data-from=n0] [data-to=n2] .badge`:                     "not reached",
		`[data-matrix=nodes] [data-from=n0] [data-to=n1] [data-metric=bandwidth]`:    "10.0 Gbit/s",
		`[data-matrix=nodes] [data-from=n1] [data-to=n2] .badge`:                     "slow",
		`[data-matrix=sites] [data-from=ams] [data-to=fra] [data-metric=round-trip]`: "0.500 ms",
		`[data-matrix=sites] [data-from=ams] [data-to=ams] .badge`:                   "1 not reached",
		`[data-problem-kind=unreachable] span + span`:                                "n0 does not reach n2: <b>refused</b>. ",
		`[data-measured=id-3] [data-label=GPUs]`:                                     "1 of 2 well",
		`[data-measured=id-3] [data-label="Disk write, read"]`:                       "1.00 GiB/s, 2.00 GiB/s",
		`[aria-labelledby=distances] [data-site=ams] [data-to=osl]`:                  "8.00 ms",
		`[aria-labelledby=distances] [data-site=ams] [data-to=ams] .row-sub`:         "measured 1 h ago", // rather than what Consul estimates
	} {
		if got := a.Text(t, selector); !strings.HasPrefix(got+" ", want) && got != want {
			t.Errorf("%s: %q, want %q", selector, got, want)
		}
	}
	if got := a.Doc.Find(`[data-matrix=nodes] [data-from=n1] [data-to=n2]`).AttrOr("title", ""); !strings.Contains(got, "bandwidth 2 h ago") {
		t.Errorf("the older bandwidth: %q", got)
	}
	s.Fake.Known = known(measure.Measurement{ID: "m-2", State: measure.Running, StartedAt: webtest.Now.Add(-time.Minute), EndsBy: webtest.Now.Add(time.Minute), Nodes: make([]measure.Participant, 2)}, reports(30))
	b := s.Get("/cluster", 200)
	if got := b.Text(t, "[data-measurement=running]"); got != "Measuring 2 nodes since 1 min 00 s; at most 1 min 00 s left." {
		t.Errorf("%q", got)
	}
	if got := b.Doc.Find("[data-action=stop-measurement] [name=id]").AttrOr("value", ""); got != "m-2" {
		t.Errorf("what is stopped: %q", got)
	}
	if b.Count("[data-matrix=nodes]") != 0 || b.Count("[data-measured]") != 30 || b.Count("[data-action=ask-measure]") != 0 || b.Count("#measured[hx-get]") != 1 {
		t.Error("of many nodes not each way is shown, and while it goes on nobody starts another")
	}
}

func TestAMeasurementIsAskedForOnceAndSaysWhatItCosts(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	s.Fake.AllNodes = nodes()
	if a := s.Get("/cluster", 200); a.Count("[data-action=ask-measure]") != 1 || a.Count("[data-matrix]") != 0 {
		t.Error("nothing was measured yet")
	}
	a := s.Get("/cluster/measure", 200)
	if got := a.Text(t, "[data-warning]"); got != "It takes bandwidth from 1 run that work there now." {
		t.Errorf("%q", got)
	}
	post := func(site string, status int) webtest.Answer {
		t.Helper()
		a := s.Do("POST", "/cluster/measure", url.Values{"site": {site}})
		if a.Status != status {
			t.Errorf("status %d, want %d", a.Status, status)
		}
		return a
	}
	if got := post("fra", 303).Header.Get("Location"); got != "/cluster#measured" || s.Fake.Did[0] != "measure fra" {
		t.Errorf("leads to %s after %v", got, s.Fake.Did)
	}
	stop := func(status int) {
		t.Helper()
		if a := s.Do("POST", "/cluster/measure/stop", url.Values{"id": {"m-2"}}); a.Status != status || status == 303 && a.Header.Get("Location") != "/cluster#measured" {
			t.Errorf("stopped with %d, to %s", a.Status, a.Header.Get("Location"))
		}
	}
	if stop(303); s.Fake.Did[1] != "stop measurement m-2" {
		t.Errorf("did %v", s.Fake.Did)
	}
	s.Fake.MeasureErr = fault.ErrConflict // it has just ended
	stop(303)
	s.Fake.MeasureErr = fault.ErrNotFound
	stop(404)
	s.Fake.MeasureErr = run.FieldErrors{{Field: "site", Value: "fra", Rule: "has no node that takes work", Fix: "choose another"}}
	if b := post("fra", 422); !strings.Contains(b.Text(t, ".note-danger"), "has no node") {
		t.Error("it is not said why")
	}
	s.Fake.MeasureErr = fault.ErrConflict
	post("", 409)
}
