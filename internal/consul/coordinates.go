package consul

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// Coordinate is a position in Consul's Vivaldi network, in seconds but for Error, which has no dimension: the smaller, the surer.
type Coordinate struct {
	Vec                       []float64
	Error, Adjustment, Height float64
}

// Distance estimates the round trip between two positions: the Euclidean distance with both heights, and both adjustments as long
// as the result stays positive. ok is false for positions that cannot be compared.
//
// Source: https://developer.hashicorp.com/consul/docs/architecture/coordinates.
func Distance(a, b Coordinate) (rtt time.Duration, ok bool) {
	if len(a.Vec) != len(b.Vec) || len(a.Vec) == 0 {
		return 0, false
	}
	squares := 0.0
	for i := range a.Vec {
		d := a.Vec[i] - b.Vec[i]
		squares += d * d
	}
	seconds := math.Sqrt(squares) + a.Height + b.Height
	if adjusted := seconds + a.Adjustment + b.Adjustment; adjusted > 0 {
		seconds = adjusted
	}
	if math.IsNaN(seconds) || seconds < 0 || seconds > math.MaxInt64/float64(time.Second) {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}

// Place is where a node is.
type Place struct {
	Node, Datacenter string
	Segment          string // of the network, "" for the only one
	Coordinate       Coordinate
}

// Map says how far nodes and datacenters are from each other.
type Map struct {
	Nodes   []Place // by datacenter and name; comparable within a datacenter and segment
	Servers []Place // of all datacenters, in the network between these
	At      time.Time
	Err     error // what is missing, nil for nothing
}

// Coordinates returns where all nodes are. The error is set when nothing is known; what is missing of some datacenters is in the map.
func (c *Client) Coordinates(ctx context.Context) (Map, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*callTimeout)
	defer cancel()
	m := Map{At: time.Now()}
	var between []*api.CoordinateDatacenterMap
	if _, err := c.api.Raw().Query("/v1/coordinate/datacenters", &between, (&api.QueryOptions{}).WithContext(ctx)); err != nil {
		return Map{}, c.classify("read Consul's coordinates", err)
	}
	for _, dc := range between {
		if dc != nil && dc.AreaID == "wan" {
			m.Servers = append(m.Servers, places(dc.Datacenter, dc.Coordinates)...)
		}
	}
	names, err := c.Datacenters(ctx)
	if err != nil {
		return Map{}, err
	}
	for _, name := range names {
		var nodes []api.CoordinateEntry
		q := (&api.QueryOptions{Datacenter: name, AllowStale: true}).WithContext(ctx)
		if _, err := c.api.Raw().Query("/v1/coordinate/nodes", &nodes, q); err != nil {
			m.Err = cmp.Or(m.Err, c.classify("read the coordinates of "+name, err))
			continue
		}
		m.Nodes = append(m.Nodes, places(name, nodes)...)
	}
	slices.SortFunc(m.Nodes, func(a, b Place) int {
		return cmp.Or(strings.Compare(a.Datacenter, b.Datacenter), strings.Compare(a.Node, b.Node), strings.Compare(a.Segment, b.Segment))
	})
	return m, nil
}

func places(datacenter string, entries []api.CoordinateEntry) []Place {
	var out []Place
	for _, e := range entries {
		if e.Coord != nil {
			out = append(out, Place{e.Node, datacenter, e.Segment, Coordinate{e.Coord.Vec, e.Coord.Error, e.Coord.Adjustment, e.Coord.Height}})
		}
	}
	return out
}

// Between estimates the round trip between two nodes: by their own positions within a datacenter, by the median of the servers'
// between two.
func (m Map) Between(a, b Place) (rtt time.Duration, ok bool) {
	if a.Datacenter != b.Datacenter {
		return m.Sites(a.Datacenter, b.Datacenter)
	}
	if a.Segment != b.Segment {
		return 0, false
	}
	if a.Node == b.Node {
		return 0, true
	}
	return Distance(a.Coordinate, b.Coordinate)
}

// Sites estimates the round trip between two datacenters, by the median of their servers'; within one it is the median of its
// nodes'.
func (m Map) Sites(a, b string) (rtt time.Duration, ok bool) {
	from := m.Servers
	if a == b {
		from = m.Nodes
	}
	var all []time.Duration
	for i, p := range from {
		for j, q := range from {
			if p.Datacenter != a || q.Datacenter != b || p.Segment != q.Segment || a == b && i >= j {
				continue
			}
			if d, ok := Distance(p.Coordinate, q.Coordinate); ok {
				all = append(all, d)
			}
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	slices.Sort(all)
	return all[len(all)/2], true
}
