package consul_test

import (
	"math"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/consul"
	"github.com/cotrain/cotrain/internal/consul/consultest"
)

func at(vec ...float64) consul.Coordinate { return consul.Coordinate{Vec: vec} }

// TestDistance has the cases of Serf's own test of DistanceTo, from which Consul's estimates come.
func TestDistance(t *testing.T) {
	t.Parallel()
	a, b := at(-0.5, 1.3, 2.4), at(1.2, -2.3, 3.4)
	with := func(c consul.Coordinate, adjustment, height float64) consul.Coordinate {
		c.Adjustment, c.Height = adjustment, height
		return c
	}
	for name, tc := range map[string]struct {
		a, b consul.Coordinate
		want float64 // seconds; negative for none
	}{
		"to itself":                          {a, a, 0},
		"by the vectors":                     {a, b, 4.104875150354758},
		"the other way":                      {b, a, 4.104875150354758},
		"adjusted to less than nothing":      {with(a, -1e6, 0), b, 4.104875150354758},
		"adjusted":                           {with(a, 0.1, 0), with(b, 0.2, 0), 4.104875150354758 + 0.3},
		"with heights":                       {with(a, 0.1, 0.7), with(b, 0.2, 0.1), 4.104875150354758 + 0.3 + 0.8},
		"heights alone, at the same place":   {with(a, 0, 0.001), with(a, 0, 0.002), 0.003},
		"10 ms, as Consul's own test has it": {at(0.010, 0, 0, 0, 0, 0, 0, 0), at(0, 0, 0, 0, 0, 0, 0, 0), 0.010},
		"of other dimensions":                {a, at(1, 2), -1},
		"of nothing":                         {at(), at(), -1},
		"of what is no number":               {at(math.NaN()), at(1), -1},
		"of what is infinite":                {at(math.Inf(1)), at(1), -1},
	} {
		got, ok := consul.Distance(tc.a, tc.b)
		if ok != (tc.want >= 0) || ok && (got-time.Duration(tc.want*1e9)).Abs() > time.Nanosecond {
			t.Errorf("%s: %v, %v; want %v s", name, got, ok, tc.want)
		}
	}
}

func entry(node string, x float64) map[string]any {
	return map[string]any{"Node": node, "Coord": map[string]any{"Vec": []float64{x, 0}, "Error": 0.1, "Adjustment": 0, "Height": 0}}
}

func TestCoordinatesOfAllDatacenters(t *testing.T) {
	t.Parallel()
	s := consultest.New(t, "ams", "fra", "lon")
	s.SetCoordinates("/v1/coordinate/datacenters", []any{
		map[string]any{"Datacenter": "ams", "AreaID": "wan", "Coordinates": []any{entry("s1", 0), entry("s2", 0.001), entry("s3", 0.002)}},
		map[string]any{"Datacenter": "fra", "AreaID": "wan", "Coordinates": []any{entry("s1", 0.010)}},
		map[string]any{"Datacenter": "ams", "AreaID": "lan", "Coordinates": []any{entry("s1", 9)}},
	})
	s.SetCoordinates("/v1/coordinate/nodes?dc=ams", []any{entry("b", 0.003), entry("a", 0), map[string]any{"Node": "new"}})
	s.SetCoordinates("/v1/coordinate/nodes?dc=fra", []any{entry("c", 7)})
	s.SetPath("lon", false)
	m, err := newClient(t, consul.Config{Address: s.Address()}).Coordinates(t.Context())
	if err != nil || m.Err == nil || time.Since(m.At) > time.Minute || len(m.Nodes) != 3 || m.Nodes[0].Node != "a" {
		t.Fatalf("%+v, %v", m, err)
	}
	ms := func(d time.Duration, ok bool) float64 {
		if !ok {
			return -1
		}
		return math.Round(d.Seconds() * 1e3)
	}
	a, b, c := m.Nodes[0], m.Nodes[1], m.Nodes[2]
	other := b
	other.Segment = "beta"
	for name, got := range map[string]struct{ got, want float64 }{
		"in a datacenter":          {ms(m.Between(a, b)), 3},
		"to itself":                {ms(m.Between(a, a)), 0},
		"to another datacenter":    {ms(m.Between(a, c)), 9}, // the median of 8, 9 and 10
		"back":                     {ms(m.Between(c, a)), 9},
		"to another segment":       {ms(m.Between(a, other)), -1},
		"within a site":            {ms(m.Sites("ams", "ams")), 3},
		"to a site without nodes":  {ms(m.Sites("ams", "lon")), -1},
		"within a site of one":     {ms(m.Sites("fra", "fra")), -1},
		"to what is not there":     {ms(m.Sites("ams", "mars")), -1},
		"between sites, as nodes'": {ms(m.Sites("fra", "ams")), 9},
	} {
		if got.got != got.want {
			t.Errorf("%s: %v ms, want %v", name, got.got, got.want)
		}
	}
	s.Stop()
	if _, err := newClient(t, consul.Config{Address: s.Address()}).Coordinates(t.Context()); err == nil {
		t.Error("coordinates of nobody")
	}
}
