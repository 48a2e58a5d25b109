package measure

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Matrix is what is known of all nodes and the ways between them: the newest of each. The zero value knows nothing.
type Matrix struct {
	Reports []Report // by site and name

	at    map[string]int // index by ID
	links [][]*Link      // from each to each, nil where unknown
}

// Known is the newest that is known of the cluster. It is not to be changed.
type Known struct {
	Last     Measurement // the zero one for none
	Matrix   *Matrix
	Problems []Issue
}

// Choice says which nodes are measured: those named by name or ID, those of a site, or with neither all that take work.
type Choice struct {
	Nodes []string
	Site  string
}

// NewMatrix indexes reports, which it keeps. Nodes that are only spoken of are left out.
func NewMatrix(reports []Report) *Matrix {
	m := &Matrix{Reports: reports, at: make(map[string]int, len(reports)), links: make([][]*Link, len(reports))}
	slices.SortFunc(m.Reports, func(a, b Report) int {
		return cmp.Or(strings.Compare(a.Node.Site, b.Node.Site), strings.Compare(a.Node.Name, b.Node.Name), strings.Compare(a.Node.ID, b.Node.ID))
	})
	for i, r := range m.Reports {
		m.at[r.Node.ID] = i
	}
	all := make([]*Link, len(reports)*len(reports))
	for i, r := range m.Reports {
		m.links[i], all = all[:len(reports):len(reports)], all[len(reports):]
		for id, l := range r.Links {
			if j, known := m.at[id]; known && j != i {
				m.links[i][j] = &l
			}
		}
	}
	return m
}

// Link is the way from one node to another by their index in Reports, nil where nothing is known of it.
func (m *Matrix) Link(from, to int) *Link { return m.links[from][to] }

// At is when the newest value was measured, zero for none.
func (m *Matrix) At() time.Time {
	var at time.Time
	for _, r := range m.Reports {
		if r.Facts.At.After(at) {
			at = r.Facts.At
		}
		for _, l := range r.Links {
			if l.At.After(at) {
				at = l.At
			}
		}
	}
	return at
}

// Span sums up the links of a group of nodes to another, or within one.
type Span struct {
	From, To  string        // what the groups are called
	RoundTrip time.Duration // median, 0 where none is known
	Bandwidth float64       // median
	Slowest   Way           // by bandwidth
	Failed    int           // links whose other end was not reached
	Known     int           // links of which anything is known
	At        time.Time     // the oldest of them
}

// Way is a link with its ends, by their index in Reports.
type Way struct {
	From, To  int
	Bandwidth float64 // 0 for no such way
	At        time.Time
}

// Sites are the names of all sites.
func (m *Matrix) Sites() []string {
	var out []string
	for _, r := range m.Reports { // sorted by site
		if len(out) == 0 || out[len(out)-1] != r.Node.Site {
			out = append(out, r.Node.Site)
		}
	}
	return out
}

// BetweenSites sums up the links from each site to each, in the order of Sites; within one it is those between its nodes.
func (m *Matrix) BetweenSites() [][]Span {
	sites := m.Sites()
	first := make([]int, 0, len(sites)+1) // index of each site's first node
	for i, r := range m.Reports {
		if i == 0 || r.Node.Site != m.Reports[i-1].Node.Site {
			first = append(first, i)
		}
	}
	first = append(first, len(m.Reports))
	out := make([][]Span, len(sites))
	for a := range sites {
		for b := range sites {
			s := m.span(first[a], first[a+1], first[b], first[b+1])
			s.From, s.To = sites[a], sites[b]
			out[a] = append(out[a], s)
		}
	}
	return out
}

// OfNode sums up the links that leave a node.
func (m *Matrix) OfNode(i int) Span {
	s := m.span(i, i+1, 0, len(m.Reports))
	s.From = m.Reports[i].Node.Name
	return s
}

// span sums up the links from nodes [a, b) to nodes [c, d).
func (m *Matrix) span(a, b, c, d int) Span {
	var s Span
	var trips, bands []float64
	for i := a; i < b; i++ {
		for j := c; j < d; j++ {
			l := m.links[i][j]
			if l == nil {
				continue
			}
			s.Known++
			if s.At.IsZero() || l.At.Before(s.At) {
				s.At = l.At
			}
			if l.Error != "" {
				s.Failed++
				continue
			}
			if l.RoundTrip > 0 {
				trips = append(trips, float64(l.RoundTrip))
			}
			if l.Bandwidth > 0 {
				bands = append(bands, l.Bandwidth)
				if s.Slowest.Bandwidth == 0 || l.Bandwidth < s.Slowest.Bandwidth {
					s.Slowest = Way{i, j, l.Bandwidth, l.BandwidthAt}
				}
			}
		}
	}
	s.RoundTrip, s.Bandwidth = time.Duration(median(trips)), median(bands)
	return s
}

// median sorts what it is given; that of nothing is 0.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// Demand is what a run asks of its nodes, as far as it decides which ways its workers may have to take.
type Demand struct {
	Workers int
	Site    string // "" for any
	GPUs    int    // of each worker
	Model   string // of them: a device name, its last part, or "" for any
}

func (d Demand) suits(n Participant) bool {
	if d.Site != "" && n.Site != d.Site {
		return false
	}
	fit := 0
	for _, g := range n.GPUs {
		if d.Model == "" || d.Model == "gpu" || g == d.Model || strings.HasSuffix(g, "/"+d.Model) {
			fit++
		}
	}
	return fit >= d.GPUs
}

// Slowest is the slowest way between nodes that a run could get, out of how many whose bandwidth was measured. A run on one node, or on
// nodes between which nothing was measured, has none.
func (m *Matrix) Slowest(d Demand) (slowest Way, of int) {
	if d.Workers < 2 {
		return Way{}, 0
	}
	var nodes []int
	for i, r := range m.Reports {
		if d.suits(r.Node) {
			nodes = append(nodes, i)
		}
	}
	for _, i := range nodes {
		for _, j := range nodes {
			l := m.links[i][j]
			if l == nil || l.Bandwidth == 0 {
				continue
			}
			of++
			if slowest.Bandwidth == 0 || l.Bandwidth < slowest.Bandwidth {
				slowest = Way{i, j, l.Bandwidth, l.BandwidthAt}
			}
		}
	}
	return slowest, of
}

// FastestSite is the site whose slowest way is the fastest, of those with enough nodes for a run, with that way. It is "" where fewer
// than two sites are known well enough to choose.
func (m *Matrix) FastestSite(d Demand) (site string, way Way) {
	known := 0
	for _, s := range m.Sites() {
		d.Site = s
		nodes := 0
		for _, r := range m.Reports {
			if d.suits(r.Node) {
				nodes++
			}
		}
		slowest, of := m.Slowest(d)
		if of == 0 || nodes < d.Workers {
			continue
		}
		known++
		if slowest.Bandwidth > way.Bandwidth {
			site, way = s, slowest
		}
	}
	if known < 2 {
		return "", Way{}
	}
	return site, way
}
