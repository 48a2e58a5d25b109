package measure

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// What counts as wrong.
const (
	// slowShare is the share of the usual bandwidth (the median of its site, or between the two sites) below which a way is slow.
	slowShare = 1.0 / 3
	// unevenTimes is how many times as fast one direction must be as the other.
	unevenTimes = 3.0
	// maxSkew is how far a clock may be off: NTP keeps it within some ms, and metrics of workers are compared by time.
	maxSkew = time.Second
	// nearlyFull is the share of a disk that must be free.
	nearlyFull = 0.05
)

// Kinds of problems.
const (
	NoReport    = "no-report"
	Unreachable = "unreachable"
	ClosedPort  = "port"
	Slow        = "slow"
	Uneven      = "asymmetric"
	Clock       = "clock"
	SickGPU     = "gpu"
	BadDisk     = "disk"
)

// Issue is one thing that is wrong, of a node or of the way from it to another.
type Issue struct {
	Kind string `json:"kind" enum:"no-report,unreachable,port,slow,asymmetric,clock,gpu,disk"`
	Node string `json:"node" doc:"ID of the node, or of the one that the way is from"`
	To   string `json:"to,omitempty" doc:"ID of the node that the way is to"`
	What string `json:"what"`
	Fix  string `json:"fix"`
}

// Problems lists what is wrong: of nodes that reported nothing in a measurement (the zero one is of none), and of all that the matrix
// knows. What is wrong with most ways of a node is told of the node, once.
func (m *Matrix) Problems(last Measurement) []Issue {
	var out []Issue
	silent := map[string]bool{}
	for _, n := range last.Nodes {
		if n.Problem != "" {
			what := "did not finish"
			if !n.Reported {
				silent[n.ID], what = true, "reported nothing"
			}
			out = append(out, Issue{NoReport, n.ID, "", fmt.Sprintf("%s %s: %s.", n.Name, what, strings.TrimSuffix(n.Problem, ".")), "See the node and its allocation in Nomad, and job.measure_command."})
		}
	}
	out = append(out, m.unreachable(silent)...)
	out = append(out, m.closed()...)
	out = append(out, m.broken(silent)...)
	out = append(out, m.slow()...)
	out = append(out, m.uneven()...)
	out = append(out, m.clocks()...)
	for _, r := range m.Reports {
		out = append(out, ofNode(r)...)
	}
	for _, r := range m.Reports { // it is the same one everywhere
		if d := r.Facts.Storage; d != nil && full(*d) {
			return append(out, Issue{BadDisk, r.Node.ID, "", fmt.Sprintf("Shared storage is %s full.", used(*d)), freeFix})
		}
	}
	return out
}

func (m *Matrix) name(i int) string { return m.Reports[i].Node.Name }
func (m *Matrix) id(i int) string   { return m.Reports[i].Node.ID }

// gather lists ways with a fault. Those into a node that are most of the ways into it, of two at least, become one, told by whole.
func (m *Matrix) gather(faulty func(*Link) bool, whole func(to, count, of int, l *Link) Issue, single func(from, to int, l *Link) Issue) []Issue {
	var out []Issue
	for j := range m.Reports {
		var from []int
		of := 0
		for i := range m.Reports {
			if l := m.links[i][j]; l != nil {
				of++
				if faulty(l) {
					from = append(from, i)
				}
			}
		}
		if len(from) >= 2 && 2*len(from) > of {
			out = append(out, whole(j, len(from), of, m.links[from[0]][j]))
			continue
		}
		for _, i := range from {
			out = append(out, single(i, j, m.links[i][j]))
		}
	}
	return out
}

const portsFix = "Open the ports between nodes: Nomad's dynamic ports (20000 to 32000 unless set) and the system's ephemeral ones (32768 to 60999)."

func (m *Matrix) unreachable(silent map[string]bool) []Issue {
	all := m.gather(func(l *Link) bool { return l.Error != "" },
		func(to, count, of int, l *Link) Issue {
			return Issue{Unreachable, m.id(to), "", fmt.Sprintf("%s is not reached by %d of %d nodes: %s.", m.name(to), count, of, strings.TrimSuffix(l.Error, ".")), portsFix}
		},
		func(from, to int, l *Link) Issue {
			return Issue{Unreachable, m.id(from), m.id(to), fmt.Sprintf("%s does not reach %s: %s.", m.name(from), m.name(to), strings.TrimSuffix(l.Error, ".")), portsFix}
		})
	out := all[:0]
	for _, p := range all { // whoever did not come is reported already
		if p.To == "" && !silent[p.Node] || p.To != "" && !silent[p.To] {
			out = append(out, p)
		}
	}
	return out
}

func (m *Matrix) closed() []Issue {
	kinds := func(l *Link) string { return strings.Join(l.Closed, " and ") }
	return m.gather(func(l *Link) bool { return len(l.Closed) > 0 },
		func(to, count, of int, l *Link) Issue {
			return Issue{ClosedPort, m.id(to), "", fmt.Sprintf("The %s port of %s is closed to %d of %d nodes.", kinds(l), m.name(to), count, of), portsFix}
		},
		func(from, to int, l *Link) Issue {
			return Issue{ClosedPort, m.id(from), m.id(to), fmt.Sprintf("The %s port of %s is closed to %s.", kinds(l), m.name(to), m.name(from)), portsFix}
		})
}

// broken are transfers that broke off, except with those that reported nothing.
func (m *Matrix) broken(silent map[string]bool) []Issue {
	var out []Issue
	for i := range m.Reports {
		for j := range m.Reports {
			if l := m.links[i][j]; l != nil && l.BandwidthError != "" && !silent[m.id(i)] && !silent[m.id(j)] {
				out = append(out, Issue{Unreachable, m.id(i), m.id(j), fmt.Sprintf("The transfer from %s to %s broke off: %s.", m.name(i), m.name(j), strings.TrimSuffix(l.BandwidthError, ".")), "Measure again; if it stays, look for a firewall or an MTU that drops long packets."})
			}
		}
	}
	return out
}

// slow compares each way with the median of those between the same sites.
func (m *Matrix) slow() []Issue {
	type sites struct{ a, b string }
	usual := map[sites]float64{}
	between := m.BetweenSites()
	for a := range between {
		for _, s := range between[a] {
			usual[sites{s.From, s.To}] = s.Bandwidth
		}
	}
	of := func(i, j int) float64 { return usual[sites{m.Reports[i].Node.Site, m.Reports[j].Node.Site}] }
	const fix = "Compare network card, cable, switch port, MTU and virtual private network with the others'."
	slowNode := map[int]bool{}
	var out []Issue
	for i, r := range m.Reports {
		var shares []float64
		for j := range m.Reports {
			for _, l := range []*Link{m.links[i][j], m.links[j][i]} {
				if l != nil && l.Bandwidth > 0 && m.Reports[j].Node.Site == r.Node.Site {
					shares = append(shares, l.Bandwidth/of(i, j))
				}
			}
		}
		if share := median(shares); len(shares) >= 4 && share < slowShare { // to two others, both ways
			slowNode[i] = true
			out = append(out, Issue{Slow, r.Node.ID, "", fmt.Sprintf("%s is slow: %s to and from others of %s, where %s is usual.", r.Node.Name, Bits(share*of(i, i)), r.Node.Site, Bits(of(i, i))), fix})
		}
	}
	for i := range m.Reports {
		for j := range m.Reports {
			l := m.links[i][j]
			if l == nil || l.Bandwidth == 0 || l.Bandwidth >= slowShare*of(i, j) || slowNode[i] || slowNode[j] {
				continue
			}
			out = append(out, Issue{Slow, m.id(i), m.id(j), fmt.Sprintf("%s to %s is slow: %s, where %s is usual.", m.name(i), m.name(j), Bits(l.Bandwidth), Bits(of(i, j))), fix})
		}
	}
	return out
}

func (m *Matrix) uneven() []Issue {
	var out []Issue
	for i := range m.Reports {
		for j := range m.Reports {
			l, back := m.links[i][j], m.links[j][i]
			if l == nil || back == nil || l.Bandwidth == 0 || back.Bandwidth < unevenTimes*l.Bandwidth {
				continue
			}
			out = append(out, Issue{Uneven, m.id(i), m.id(j),
				fmt.Sprintf("%s to %s takes %s, and back %s.", m.name(i), m.name(j), Bits(l.Bandwidth), Bits(back.Bandwidth)),
				"An all-reduce is as slow as the slower direction: look for a limit on what leaves " + m.name(i) + ", or reaches " + m.name(j) + "."})
		}
	}
	return out
}

// Skews are how far each node's clock is ahead of the others', by the median; ok is false where nobody compared it.
func (m *Matrix) Skews() (skew []time.Duration, ok []bool) {
	skew, ok = make([]time.Duration, len(m.Reports)), make([]bool, len(m.Reports))
	for i := range m.Reports {
		var ahead []float64
		for j := range m.Reports {
			if l := m.links[j][i]; l != nil && l.Error == "" && l.RoundTrip > 0 {
				ahead = append(ahead, float64(l.Offset))
			}
			if l := m.links[i][j]; l != nil && l.Error == "" && l.RoundTrip > 0 {
				ahead = append(ahead, -float64(l.Offset))
			}
		}
		skew[i], ok[i] = time.Duration(median(ahead)), len(ahead) > 0
	}
	return skew, ok
}

func (m *Matrix) clocks() []Issue {
	var out []Issue
	skews, ok := m.Skews()
	for i, skew := range skews {
		if !ok[i] || skew.Abs() < maxSkew {
			continue
		}
		way := "ahead of"
		if skew < 0 {
			way = "behind"
		}
		out = append(out, Issue{Clock, m.id(i), "", fmt.Sprintf("The clock of %s is %s %s the others'.", m.name(i), skew.Abs().Round(time.Millisecond), way), "Run an NTP client there, such as chrony."})
	}
	return out
}

func ofNode(r Report) []Issue {
	var out []Issue
	n, f := r.Node, r.Facts
	if f.GPUError != "" {
		out = append(out, Issue{SickGPU, n.ID, "", fmt.Sprintf("The GPUs of %s cannot be asked: %s.", n.Name, strings.TrimSuffix(f.GPUError, ".")), "Run nvidia-smi there."})
	}
	for _, g := range f.GPUs {
		for _, p := range g.Problems {
			out = append(out, Issue{SickGPU, n.ID, "", fmt.Sprintf("GPU %s of %s: %s.", g.ID, n.Name, strings.TrimSuffix(p, ".")), "Run nvidia-smi -q there; drain the node before it is reset."})
		}
	}
	const mountFix = "Check the folder's mount, its rights and its space."
	if f.Disk.Error != "" {
		out = append(out, Issue{BadDisk, n.ID, "", fmt.Sprintf("The disk of %s: %s.", n.Name, strings.TrimSuffix(f.Disk.Error, ".")), mountFix})
	} else if full(f.Disk) {
		out = append(out, Issue{BadDisk, n.ID, "", fmt.Sprintf("The disk of %s is %s full.", n.Name, used(f.Disk)), freeFix})
	}
	if f.Storage != nil && f.Storage.Error != "" {
		out = append(out, Issue{BadDisk, n.ID, "", fmt.Sprintf("Shared storage on %s: %s.", n.Name, strings.TrimSuffix(f.Storage.Error, ".")), mountFix})
	}
	return out
}

const freeFix = "Free some of it: checkpoints and logs need room."

func full(d Disk) bool { return d.Total > 0 && float64(d.Free) < nearlyFull*float64(d.Total) }

func used(d Disk) string {
	return fmt.Sprintf("%.0f %%", 100-100*float64(d.Free)/float64(max(1, d.Total)))
}

// Bits is a bandwidth for people: "9.41 Gbit/s".
func Bits(v float64) string {
	for _, u := range []struct {
		unit string
		of   float64
	}{{"Tbit/s", 1e12}, {"Gbit/s", 1e9}, {"Mbit/s", 1e6}, {"kbit/s", 1e3}} {
		if v >= u.of*0.9995 {
			return digits(v/u.of) + " " + u.unit
		}
	}
	return digits(v) + " bit/s"
}

// Trip is a round trip for people: "0.312 ms".
func Trip(d time.Duration) string { return digits(float64(d)/float64(time.Millisecond)) + " ms" }

// Skew is how far a node's clock is ahead, for people: "+0.3 ms", "0.0 ms".
func Skew(ahead time.Duration) string {
	if ahead = ahead.Round(100 * time.Microsecond); ahead == 0 {
		return "0.0 ms"
	}
	return fmt.Sprintf("%+.1f ms", float64(ahead)/float64(time.Millisecond))
}

// digits has three significant ones.
func digits(v float64) string {
	if v == 0 {
		return "0"
	}
	decimals := max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
	return strconv.FormatFloat(v, 'f', min(decimals, 9), 64)
}
