package cluster

import (
	"fmt"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/views/ui"
)

// Network is what nodes have measured of themselves and of the network between them.
type Network struct {
	Known *measure.Known
	May   bool // measure
}

// Paths of the measurement.
const (
	MeasurePath = "/cluster/measure"
	StopPath    = "/cluster/measure/stop"
	networkID   = "network"
)

// mostColumns is up to how many nodes each way is shown; of more it is sites and nodes.
const mostColumns = 12

// cell is a way, or a group of ways, in a table: numbers, and a word where something is wrong.
type cell struct {
	Bandwidth, RoundTrip string // ui.Absent where not known
	Word, Class          string // "" where all is well
	Title                string // how it came about
	None                 bool   // there is nothing to measure
}

func bits(v float64) string {
	if v == 0 {
		return ui.Absent
	}
	return measure.Bits(v)
}

func trip(d time.Duration) string {
	if d == 0 {
		return ui.Absent
	}
	return measure.Trip(d)
}

// wayCell shows one way. bad has the kinds of problems by way.
func wayCell(m *measure.Matrix, i, j int, bad map[[2]string]string, now time.Time) cell {
	if i == j {
		return cell{None: true}
	}
	l := m.Link(i, j)
	if l == nil {
		return cell{Bandwidth: ui.Absent, RoundTrip: ui.Absent, Title: "not measured"}
	}
	c := cell{Bandwidth: bits(l.Bandwidth), RoundTrip: trip(l.RoundTrip), Title: "measured " + ui.Ago(l.At, now)}
	from, to := m.Reports[i].Node, m.Reports[j].Node
	switch kind := bad[[2]string{from.ID, to.ID}]; {
	case l.Error != "":
		c.Word, c.Class, c.Title = "not reached", "state-failed", l.Error
	case len(l.Closed) > 0:
		c.Word, c.Class, c.Title = "port closed", "state-failed", strings.Join(l.Closed, ", ")
	case kind != "":
		c.Word, c.Class = kind, "state-degraded"
	case l.BandwidthError != "":
		c.Title = l.BandwidthError
	}
	if l.RoundTripMin > 0 {
		c.Title += fmt.Sprintf("; round trip at least %s, jitter %s", measure.Trip(l.RoundTripMin), measure.Trip(l.Jitter))
	}
	if !l.BandwidthAt.IsZero() && !l.BandwidthAt.Equal(l.At) {
		c.Title += "; bandwidth " + ui.Ago(l.BandwidthAt, now)
	}
	return c
}

// spanCell shows the ways between two sites.
func spanCell(s measure.Span, now time.Time) cell {
	if s.Known == 0 {
		return cell{Bandwidth: ui.Absent, RoundTrip: ui.Absent, Title: "not measured"}
	}
	c := cell{Bandwidth: bits(s.Bandwidth), RoundTrip: trip(s.RoundTrip), Title: fmt.Sprintf("median of %s, the oldest measured %s", ui.Plural(s.Known, "link"), ui.Ago(s.At, now))}
	if s.Slowest.Bandwidth > 0 {
		c.Title += "; slowest " + measure.Bits(s.Slowest.Bandwidth)
	}
	if s.Failed > 0 {
		c.Word, c.Class = fmt.Sprintf("%d not reached", s.Failed), "state-failed"
	}
	return c
}

// badWays are the kinds of problems by way.
func badWays(problems []measure.Issue) map[[2]string]string {
	out := map[[2]string]string{}
	for _, p := range problems {
		if p.To != "" && out[[2]string{p.Node, p.To}] == "" { // the worst comes first
			out[[2]string{p.Node, p.To}] = p.Kind
		}
	}
	return out
}

// measuredNode is what a node measured, in a line.
type measuredNode struct {
	ID, Name, Site       string
	RoundTrip, Bandwidth string
	Slowest              string
	Clock                string
	Disk, Storage        string
	Free                 string
	GPUs                 string
	At                   time.Time
	Problems             int
}

func measuredNodes(k *measure.Known) []measuredNode {
	m := k.Matrix
	problems := map[string]int{}
	for _, p := range k.Problems {
		problems[p.Node]++
	}
	skews, compared := m.Skews()
	out := make([]measuredNode, 0, len(m.Reports))
	for i, r := range m.Reports {
		s, f := m.OfNode(i), r.Facts
		n := measuredNode{
			ID: r.Node.ID, Name: r.Node.Name, Site: r.Node.Site, RoundTrip: trip(s.RoundTrip), Bandwidth: bits(s.Bandwidth), Slowest: ui.Absent, Clock: ui.Absent,
			Disk: disk(&f.Disk), Storage: disk(f.Storage), Free: ui.Absent, GPUs: gpuHealth(f), At: f.At, Problems: problems[r.Node.ID],
		}
		if n.At.IsZero() {
			n.At = s.At
		}
		if s.Slowest.Bandwidth > 0 {
			n.Slowest = measure.Bits(s.Slowest.Bandwidth) + " to " + m.Reports[s.Slowest.To].Node.Name
		}
		if compared[i] {
			n.Clock = measure.Skew(skews[i])
		}
		if f.Disk.Total > 0 {
			n.Free = ui.Bytes(float64(f.Disk.Free))
		}
		out = append(out, n)
	}
	return out
}

// disk is how fast a folder is, written and read.
func disk(d *measure.Disk) string {
	switch {
	case d == nil || d.Write == 0 && d.Read == 0 && d.Error == "":
		return ui.Absent
	case d.Error != "":
		return d.Error
	}
	return ui.Bytes(d.Write) + "/s, " + ui.Bytes(d.Read) + "/s"
}

// gpuHealth says how many GPUs are well.
func gpuHealth(f measure.Facts) string {
	well := 0
	for _, g := range f.GPUs {
		if len(g.Problems) == 0 {
			well++
		}
	}
	switch {
	case f.GPUError != "":
		return "unknown"
	case len(f.GPUs) == 0:
		return ui.Absent
	}
	return fmt.Sprintf("%d of %d well", well, len(f.GPUs))
}

// MeasureForm asks before nodes are measured.
type MeasureForm struct {
	Sites []string
	Nodes int    // that take work
	Runs  int    // that work there
	Error string // why it was refused
	Site  string // chosen
}

func nodeNames(m *measure.Matrix) []string {
	out := make([]string, len(m.Reports))
	for i, r := range m.Reports {
		out[i] = r.Node.Name
	}
	return out
}

// measuredTrips are the round trips that were measured between sites, by their names.
func measuredTrips(k *measure.Known) map[[2]string]measure.Span {
	out := map[[2]string]measure.Span{}
	if k == nil {
		return out
	}
	for _, row := range k.Matrix.BetweenSites() {
		for _, s := range row {
			if s.RoundTrip > 0 {
				out[[2]string{s.From, s.To}] = s
			}
		}
	}
	return out
}
