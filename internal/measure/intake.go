package measure

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
)

// Kinds of the lines that a node prints.
const (
	LinkLine      = "measured_link"      // all but the bandwidth
	BandwidthLine = "measured_bandwidth" // of a link
	FactsLine     = "measured_node"
	DoneLine      = "measured"
)

// Prefix begins a line that is meant for the console.
const Prefix = "COTRAIN "

// Line is one that a node prints, as JSON after [Prefix]. It says nothing about who prints it: that is the node on which Nomad runs it.
type Line struct {
	Version int    `json:"v"`
	Kind    string `json:"kind"`
	To      string `json:"to,omitempty"`
	Link    *Link  `json:"link,omitempty"`
	Facts   *Facts `json:"facts,omitempty"`
}

// Bounds of what a node may say.
const (
	maxLine      = 32 << 10 // bytes
	maxText      = 300      // bytes
	maxGPUs      = 64
	maxRoundTrip = time.Hour
	maxBits      = 1e15
)

// Intake takes what one node prints. Nothing of it is trusted: it counts for this node alone and for those that take part, and numbers
// that cannot be are left out. Times are the console's own.
type Intake struct {
	Report  Report
	Ended   bool // the node has said all
	Ignored int  // lines meant for the console that say nothing it takes

	at    time.Time
	peers map[string]bool
}

// NewIntake is that of a node among others, for a measurement of a time.
func NewIntake(self Participant, all []Participant, at time.Time) *Intake {
	in := &Intake{Report: Report{Node: self, Links: map[string]Link{}}, at: at, peers: map[string]bool{}}
	for _, n := range all {
		in.peers[n.ID] = n.ID != self.ID
	}
	return in
}

// Take reads what the node printed.
func (in *Intake) Take(log []byte) {
	for line := range bytes.Lines(log) {
		if text, ours := bytes.CutPrefix(line, []byte(Prefix)); ours {
			in.line(text)
		}
	}
}

func (in *Intake) line(text []byte) {
	var l Line
	ok := len(text) <= maxLine && json.Unmarshal(text, &l) == nil
	switch {
	case ok && l.Kind == LinkLine && l.Link != nil && in.peers[l.To]:
		before := in.Report.Links[l.To]
		link := in.link(*l.Link)
		link.Bandwidth, link.BandwidthAt, link.BandwidthError = before.Bandwidth, before.BandwidthAt, before.BandwidthError
		in.Report.Links[l.To] = link
	case ok && l.Kind == BandwidthLine && l.Link != nil && in.peers[l.To]:
		link, given := in.Report.Links[l.To], in.link(*l.Link)
		link.At, link.Bandwidth, link.BandwidthAt, link.BandwidthError = in.at, given.Bandwidth, given.BandwidthAt, given.BandwidthError
		in.Report.Links[l.To] = link
	case ok && l.Kind == FactsLine && l.Facts != nil:
		in.Report.Facts = in.facts(*l.Facts)
	case ok && l.Kind == DoneLine:
		in.Ended = true
	default:
		in.Ignored++
	}
}

// Any reports whether the node has said anything.
func (in *Intake) Any() bool { return len(in.Report.Links) > 0 || !in.Report.Facts.At.IsZero() }

func (in *Intake) link(l Link) Link {
	span := func(d time.Duration) time.Duration {
		if d < 0 || d > maxRoundTrip {
			return 0
		}
		return d
	}
	out := Link{
		At: in.at, Error: clean(l.Error), RoundTrip: span(l.RoundTrip), RoundTripMin: span(l.RoundTripMin), Jitter: span(l.Jitter), Offset: l.Offset,
		BandwidthError: clean(l.BandwidthError),
	}
	if out.Error == "" && out.RoundTrip == 0 {
		out.Offset = 0
	}
	for _, kind := range []string{NextPort, EphemeralPort} {
		if slices.Contains(l.Closed, kind) {
			out.Closed = append(out.Closed, kind)
		}
	}
	if l.Bandwidth > 0 && l.Bandwidth <= maxBits {
		out.Bandwidth, out.BandwidthAt = l.Bandwidth, in.at
	}
	return out
}

func (in *Intake) facts(f Facts) Facts {
	out := Facts{At: in.at, Disk: disk(f.Disk), MemoryTotal: max(0, f.MemoryTotal), GPUError: clean(f.GPUError)}
	out.MemoryAvailable = min(max(0, f.MemoryAvailable), out.MemoryTotal)
	if f.Storage != nil {
		out.Storage = new(disk(*f.Storage))
	}
	for _, g := range f.GPUs[:min(len(f.GPUs), maxGPUs)] {
		gpu := GPUHealth{ID: clean(g.ID), Model: clean(g.Model), Memory: max(0, g.Memory), Temperature: min(max(0, g.Temperature), 1000)}
		for _, p := range g.Problems[:min(len(g.Problems), 16)] {
			gpu.Problems = append(gpu.Problems, clean(p))
		}
		out.GPUs = append(out.GPUs, gpu)
	}
	return out
}

func disk(d Disk) Disk {
	speed := func(v float64) float64 {
		if !(v > 0 && v <= maxBits) || math.IsNaN(v) {
			return 0
		}
		return v
	}
	out := Disk{Write: speed(d.Write), Read: speed(d.Read), Total: max(0, d.Total), Error: clean(d.Error)}
	out.Free = min(max(0, d.Free), out.Total)
	return out
}

// clean makes one short line of a text from elsewhere.
func clean(s string) string {
	return fault.Clip(strings.TrimSpace(strings.Map(func(r rune) rune {
		if fault.Unseen(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))), maxText)
}
