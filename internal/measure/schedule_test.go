package measure_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/measure"
)

func TestScheduleMeasuresEveryLinkAlone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		sizes  []int
		rounds int // at most
		all    bool
	}{
		{"no node", nil, 0, true},
		{"one node", []int{1}, 0, true},
		{"two nodes", []int{2}, 1, true},
		{"an odd number", []int{5}, 5, true},
		{"an even number", []int{6}, 5, true},
		{"two sites", []int{3, 2}, 3 + 6, true},
		{"sites of one node each", []int{1, 1, 1}, 3, true},
		{"as many as are measured whole", []int{64}, 63, true},
		{"more than that", []int{256}, 63, false},
		{"two large sites", []int{128, 128}, 63 + 64, false},
		{"many sites", []int{10, 10, 10, 10, 10, 10, 10, 10, 10, 10}, 9 + 63, false},
		{"more sites than rounds", make([]int, 200), 64, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var sites []string
			for s, n := range c.sizes {
				for range max(1, n) {
					sites = append(sites, fmt.Sprintf("s%d", s))
				}
			}
			rounds := measure.Schedule(sites)
			if len(rounds) > c.rounds {
				t.Errorf("%d rounds, at most %d", len(rounds), c.rounds)
			}
			met := map[measure.Pair]bool{}
			takes := map[int]bool{}
			for r, pairs := range rounds {
				busy, uplink := map[int]bool{}, map[string]bool{}
				for _, p := range pairs {
					if p[0] >= p[1] || met[p] {
						t.Errorf("round %d: pair %v", r, p)
					}
					met[p] = true
					for _, n := range p {
						if busy[n] {
							t.Errorf("round %d: node %d is in two pairs", r, n)
						}
						busy[n], takes[n] = true, true
						if sites[p[0]] != sites[p[1]] {
							if uplink[sites[n]] {
								t.Errorf("round %d: two pairs leave %s", r, sites[n])
							}
							uplink[sites[n]] = true
						}
					}
				}
			}
			n := len(sites)
			if c.all && len(met) != n*(n-1)/2 {
				t.Errorf("%d of %d pairs", len(met), n*(n-1)/2)
			}
			if n > 1 && len(takes) != n {
				t.Errorf("%d of %d nodes take part", len(takes), n)
			}
		})
	}
}

func TestBothSidesOfAPairHaveItsTurn(t *testing.T) {
	t.Parallel()
	rounds := measure.Schedule([]string{"a", "a", "a", "b"})
	type meeting struct{ Round, A, B int }
	var begun, awaited []meeting
	for n := range 4 {
		last := -1
		for _, turn := range measure.Turns(rounds, n) {
			if turn.Round <= last {
				t.Errorf("node %d: round %d after %d", n, turn.Round, last)
			}
			last = turn.Round
			if turn.Begins {
				begun = append(begun, meeting{turn.Round, n, turn.Other})
			} else {
				awaited = append(awaited, meeting{turn.Round, turn.Other, n})
			}
		}
	}
	less := func(a, b meeting) bool { return fmt.Sprint(a) < fmt.Sprint(b) }
	if d := cmp.Diff(sorted(begun, less), sorted(awaited, less)); d != "" || len(begun) != 6 {
		t.Errorf("%d meetings: %s", len(begun), d)
	}
}

func TestALargeMeasurementIsBounded(t *testing.T) {
	t.Parallel()
	for _, sites := range [][]string{make([]string, measure.MaxNodes), nil} {
		if sites == nil {
			for i := range measure.MaxNodes {
				sites = append(sites, fmt.Sprint(i%2))
			}
		}
		if l := measure.DefaultLimits(len(sites), len(measure.Schedule(sites))); l.Total.Minutes() > 17 {
			t.Errorf("%d nodes take up to %v", len(sites), l.Total)
		}
	}
}

func sorted[T any](in []T, less func(a, b T) bool) []T {
	slices.SortFunc(in, func(a, b T) int {
		if less(a, b) {
			return -1
		}
		return 1
	})
	return in
}
