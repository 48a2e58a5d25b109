package cli

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/run"
)

// measuredPair is two nodes that measured each other; one way takes bits a second.
func measuredPair(bits float64) measure.Known {
	at := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	link := func(bits float64) measure.Link {
		return measure.Link{At: at, RoundTrip: 250 * time.Microsecond, Jitter: time.Microsecond, Bandwidth: bits, BandwidthAt: at}
	}
	m := measure.NewMatrix([]measure.Report{
		{Node: measure.Participant{ID: "id-a", Name: "a", Site: "ams"}, Facts: measure.Facts{At: at, Disk: measure.Disk{Write: 1 << 30, Read: 2 << 30}, GPUs: []measure.GPUHealth{{ID: "g"}}}, Links: map[string]measure.Link{"id-b": link(bits)}},
		{Node: measure.Participant{ID: "id-b", Name: "b", Site: "ams"}, Facts: measure.Facts{At: at}, Links: map[string]measure.Link{"id-a": link(1e10)}},
	})
	return measure.Known{Matrix: m, Problems: m.Problems(measure.Measurement{})}
}

func TestClusterMeasureWaitsAndPrintsTheMatrix(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.SetNodes(run.Node{ID: "id-a", Name: "a"}, run.Node{ID: "id-b", Name: "b"})
	c.SetKnown(measuredPair(1e10))
	out := c.cotrain("cluster", "measure").want(t, exitDone, "a     b   0.250 ms    0.00100 ms  10.0 Gbit/s", "1.00 GiB/s", "1 well")
	if !strings.Contains(out.errOut, "measuring 2 nodes, until ") || !strings.Contains(out.errOut, "nothing is wrong") {
		t.Errorf("said %s", out.errOut)
	}
	c.cotrain("cluster", "measure", "--node", "b", "--format", "json").want(t, exitDone, `"last":{"id":"m-1","state":"done"`, `"nodes":[{"id":"id-b"`, `"bandwidth_bits_per_second":10000000000`)
}

func TestClusterMeasureFailsIfAnythingIsWrong(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.SetKnown(measuredPair(1e9))
	c.cotrain("cluster", "measure", "--last").want(t, exitFailed, "ASYMMETRIC: a to b takes 1.00 Gbit/s, and back 10.0 Gbit/s. An all-reduce is as slow")
	c.cotrain("cluster", "measure", "--last", "--format", "json").want(t, exitFailed, `"kind":"asymmetric"`)
	c.cotrain("cluster", "measure", "--site", "busy").want(t, exitRefused)
	none := newConsole(t)
	if out := none.cotrain("cluster", "measure", "--last"); out.code != exitDone || !strings.Contains(out.errOut, "nothing has been measured yet") {
		t.Errorf("%+v", out)
	}
}

func TestClusterMeasureInterruptedStopsIt(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	ctx, cancel := context.WithCancel(t.Context())
	var out, errOut output
	errOut.told = func(string) { cancel() }
	code := c.process(&out, &errOut, "cluster", "measure", "--site", "long").run(ctx)
	result{code, out.String(), errOut.String()}.want(t, exitFailed, "the measurement is stopped", "interrupted")
	known, err := c.Measured(t.Context())
	if err != nil || known.Last.StoppedBy != "local" {
		t.Errorf("%+v, %v", known.Last, err)
	}
}

func TestTheProgramOfTheNodesIsNotForPeople(t *testing.T) {
	t.Parallel()
	out := newConsole(t).cotrain("measure")
	if out.code != exitFailed || !strings.Contains(out.errOut, "use cotrain cluster measure") {
		t.Errorf("%+v", out)
	}
}
