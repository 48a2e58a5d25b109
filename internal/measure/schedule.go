package measure

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// maxRounds bounds how many others of its site a node measures the bandwidth to: all, up to 64 nodes.
	maxRounds = 63
	// maxBetween bounds the rounds in which the bandwidth between sites is measured.
	maxBetween = 64
)

// Pair are two nodes by their index, the smaller first, which begins.
type Pair [2]int

// Schedule says which nodes measure the bandwidth between them, in which round, given the site of each. In a round a node is in one
// pair at most, so that its own link is measured alone. First come the pairs of each site, all sites at once, as in a round-robin
// tournament; then those between sites, in which a site too is in one pair at most, since what leaves it shares an uplink. Where that
// would be too many rounds, each node meets only some of the others, and each site some nodes of another.
func Schedule(sites []string) [][]Pair {
	members := map[string][]int{}
	var names []string
	for i, s := range sites {
		if members[s] == nil {
			names = append(names, s)
		}
		members[s] = append(members[s], i)
	}
	slices.Sort(names)
	var rounds [][]Pair
	for _, s := range names {
		for r, pairs := range tournament(len(members[s]), maxRounds) {
			if r == len(rounds) {
				rounds = append(rounds, nil)
			}
			for _, p := range pairs {
				rounds[r] = append(rounds[r], pair(members[s][p[0]], members[s][p[1]]))
			}
		}
	}
	return append(rounds, between(names, members)...)
}

// between has sites meet as nodes do in a tournament, each time for several rounds with a pair of theirs.
func between(names []string, members map[string][]int) [][]Pair {
	meetings := tournament(len(names), maxBetween)
	if len(meetings) == 0 {
		return nil
	}
	each := max(1, maxBetween/len(meetings))
	var rounds [][]Pair
	for _, meeting := range meetings {
		first := len(rounds)
		for _, m := range meeting {
			a, b := members[names[m[0]]], members[names[m[1]]]
			for k := range min(each, len(a)*len(b)) {
				if first+k == len(rounds) {
					rounds = append(rounds, nil)
				}
				// Along the diagonals, so that every node comes in early.
				long, short := a, b
				if len(b) > len(a) {
					long, short = b, a
				}
				i, turn := k%len(long), k/len(long)
				rounds[first+k] = append(rounds[first+k], pair(long[i], short[(i+turn)%len(short)]))
			}
		}
	}
	return rounds
}

func pair(a, b int) Pair { return Pair{min(a, b), max(a, b)} }

// tournament has each of n meet others once, in rounds in which nobody is twice, by the circle method: at most so many rounds, which
// is everybody where n - 1 are enough.
func tournament(n, most int) [][]Pair {
	if n < 2 {
		return nil
	}
	even := n + n%2 // with an odd number one rests in each round
	var rounds [][]Pair
	for r := range min(even-1, most) {
		var pairs []Pair
		for k := range even / 2 {
			a, b := (r+k)%(even-1), (r-k+even-1)%(even-1)
			if k == 0 {
				b = even - 1
			}
			if a < n && b < n {
				pairs = append(pairs, pair(a, b))
			}
		}
		rounds = append(rounds, pairs)
	}
	return rounds
}

// Turn is a node's pair in a round.
type Turn struct {
	Round, Other int
	Begins       bool // this node connects, the other awaits it
}

// Turns are those of one node, in order.
func Turns(rounds [][]Pair, node int) []Turn {
	var out []Turn
	for r, pairs := range rounds {
		for _, p := range pairs {
			switch node {
			case p[0]:
				out = append(out, Turn{r, p[1], true})
			case p[1]:
				out = append(out, Turn{r, p[0], false})
			}
		}
	}
	return out
}

// Limits bound a measurement. They travel with its dispatch.
type Limits struct {
	Wait     time.Duration // for nodes that have not come
	Duration time.Duration // of one transfer, in one direction
	Bytes    int64         // of one transfer
	Streams  int           // of one transfer, at once
	Linger   time.Duration // that a node which is done stays for those that have not been in contact with it
	Total    time.Duration // of everything, on a node
}

// DefaultLimits are those for so many nodes and rounds. The total is more than all of it takes where each transfer takes its time.
func DefaultLimits(nodes, rounds int) Limits {
	l := Limits{Wait: 45 * time.Second, Duration: time.Second, Bytes: 512 << 20, Streams: 4, Linger: 15 * time.Second}
	const (
		own     = 20 * time.Second       // disk and GPUs
		contact = 500 * time.Millisecond // with one other
		lost    = 4 * time.Second        // in each round, until one that has died meanwhile is given up
		slack   = 30 * time.Second
	)
	l.Total = l.Wait + own + time.Duration(nodes)*contact + time.Duration(rounds)*(2*l.Duration+lost) + slack
	return l
}

// Spec is what a dispatch tells the nodes.
type Spec struct {
	Nodes  []string // IDs
	Sites  []string // names
	In     []int    // the site of each node, by its index
	Limits Limits
}

// SpecOf is that of nodes, with the limits that suit them.
func SpecOf(nodes []Participant) Spec {
	var s Spec
	for _, n := range nodes {
		at := slices.Index(s.Sites, n.Site)
		if at < 0 {
			at = len(s.Sites)
			s.Sites = append(s.Sites, n.Site)
		}
		s.Nodes, s.In = append(s.Nodes, n.ID), append(s.In, at)
	}
	s.Limits = DefaultLimits(len(nodes), len(s.Schedule()))
	return s
}

// Schedule is that of the nodes.
func (s Spec) Schedule() [][]Pair {
	sites := make([]string, len(s.Nodes))
	for i, at := range s.In {
		sites[i] = s.Sites[at]
	}
	return Schedule(sites)
}

// Check finds what would not be a measurement.
func (s Spec) Check() error {
	l := s.Limits
	switch {
	case len(s.Nodes) == 0 || len(s.Nodes) > MaxNodes || len(s.In) != len(s.Nodes):
		return fmt.Errorf("%d nodes in %d places: from 1 to %d", len(s.Nodes), len(s.In), MaxNodes)
	case slices.ContainsFunc(s.In, func(at int) bool { return at < 0 || at >= len(s.Sites) }):
		return errors.New("a node is in no site")
	case l.Wait < 0 || l.Linger < 0 || l.Duration <= 0 || l.Duration > time.Minute || l.Bytes <= 0 || l.Streams < 1 || l.Streams > 64 || l.Total <= 0 || l.Total > time.Hour:
		return fmt.Errorf("limits %+v are out of bounds", l)
	}
	return nil
}
