package watch

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
)

const (
	// clockAge is how old the measurement of a node's clock may be, of one that is apart clockAgeApart: somebody may be about to set it.
	clockAge      = 30 * time.Minute
	clockAgeApart = time.Minute
	// clocksAtOnce bounds the nodes whose clocks are measured at the same time, clocksWanted those that wait for it, and clocksKept
	// those that are known.
	clocksAtOnce = 16
	clocksWanted = 4096
	clocksKept   = 10_000
)

// nodeClocks are the clocks of nodes where workers were placed, as Nomad's clients tell them: before the workers train, and whatever their
// logs tell.
type nodeClocks struct {
	mu     sync.Mutex
	known  map[string]nodeClock // by node ID
	wanted chan wantedClock
}

// nodeClock is a node's clock beside the console's, when it was measured.
type nodeClock struct {
	host nomad.Host
	at   time.Time // zero while it is measured for the first time
	busy bool
}

// wantedClock is a node to measure, and the run that asks for it.
type wantedClock struct {
	node string
	run  run.ID
}

func newNodeClocks() nodeClocks {
	return nodeClocks{known: map[string]nodeClock{}, wanted: make(chan wantedClock, clocksWanted)}
}

// want has the clocks of the workers' nodes measured, unless that was done of late. apart are ranks whose clocks were found to be apart, or
// with which those were compared. It does not block.
func (n *nodeClocks) want(id run.ID, ws []run.Worker, apart map[int]bool, now time.Time) {
	nodes := map[string]bool{} // and whether one is apart
	for _, wk := range ws {
		if wk.NodeID != "" && !wk.State.Terminal() {
			nodes[wk.NodeID] = nodes[wk.NodeID] || apart[wk.Rank]
		}
	}
	if len(nodes) < 2 {
		return // one clock
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for node, off := range nodes {
		c := n.known[node]
		age := clockAge
		if off {
			age = clockAgeApart
		}
		if c.busy || !c.at.IsZero() && now.Sub(c.at) < age {
			continue
		}
		select {
		case n.wanted <- wantedClock{node, id}:
			c.busy = true
			n.known[node] = c
		default: // at the next comparison
			return
		}
	}
}

// measureClocks measures the clocks that are wanted until ctx ends.
func (w *Watcher) measureClocks(ctx context.Context) error {
	var each errgroup.Group
	each.SetLimit(clocksAtOnce)
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case want := <-w.clocks.wanted:
			each.Go(func() error {
				w.measureClock(ctx, want)
				return nil
			})
		}
	}
	return each.Wait()
}

func (w *Watcher) measureClock(ctx context.Context, want wantedClock) {
	host, err := w.o.Cluster.Host(ctx, want.node)
	if err != nil && ctx.Err() == nil {
		w.o.Logger.Debug("measure the clock of a node", "node", want.node, "err", err)
	}
	n := &w.clocks
	n.mu.Lock()
	if len(n.known) > clocksKept {
		clear(n.known)
	}
	n.known[want.node] = nodeClock{host: host, at: w.o.Now()}
	n.mu.Unlock()
	if host.Known {
		w.ReconcileSoon(want.run)
	}
}

// behind is by how much the clock of a node is behind another's, and by how much that may be wrong; ok is false where either is not known.
func (n *nodeClocks) behind(node, other string) (by, wrong time.Duration, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	mine, its := n.known[node].host, n.known[other].host
	if node == other || !mine.Known || !its.Known {
		return 0, 0, false
	}
	least, most := its.Least-mine.Most, its.Most-mine.Least
	return (least + most) / 2, (most - least) / 2, true
}

// nodeOf is the ID of the node where a rank is, "" for none.
func nodeOf(ws []run.Worker, rank int) string {
	for _, wk := range ws {
		if wk.Rank == rank && !wk.State.Terminal() {
			return wk.NodeID
		}
	}
	return ""
}

// clocks compares the workers' clocks with worker 0's: those of their nodes, and as far as their logs tell.
func (l *look) clocks() []run.Notice {
	apart := map[int]bool{}
	for _, n := range l.r.Notices { // what was told is taken back when it is clearly over
		if n.Kind == run.NoticeClock {
			apart[n.Rank], apart[0] = true, true
		}
	}
	l.nodes.want(l.r.ID, l.placed, apart, l.now)
	leader := nodeOf(l.placed, 0)
	var out []run.Notice
	for _, wk := range l.placed {
		if wk.Rank <= 0 || wk.State.Terminal() {
			continue
		}
		least := skewed
		if apart[wk.Rank] {
			least = skewed / 2
		}
		by, how, ok := l.behind(wk, leader, least)
		if !ok {
			continue
		}
		way := "behind"
		if by < 0 {
			way = "ahead of"
		}
		text := fmt.Sprintf("the clock of %s is %s %s worker 0's", run.WorkerName(wk.Rank, wk.NodeName), how, way)
		if by > evicted {
			text += ": the mesh takes it for dead"
		}
		hint := "A worker whose clock is more than 10 s behind worker 0's is dropped alive."
		if by < 0 {
			hint = "A worker whose clock is ahead of worker 0's is missed that much later once it has died."
		}
		out = append(out, run.Notice{Kind: run.NoticeClock, Rank: wk.Rank, Node: wk.NodeName, Since: l.now, Text: text,
			Hint: hint + " Run an NTP client on both nodes, such as chrony: chronyc tracking says whether it keeps the clock."})
	}
	return out
}

// behind is by how much a worker's clock is behind worker 0's, in words too, if that is at least so much either way: surely by their nodes'
// clocks, or else by their logs.
func (l *look) behind(wk run.Worker, leader string, least time.Duration) (by time.Duration, how string, ok bool) {
	if by, wrong, ok := l.nodes.behind(wk.NodeID, leader); ok && by.Abs()-wrong >= least {
		return by, fmt.Sprintf("%.1f s (± %.1f s)", by.Abs().Seconds(), math.Ceil(10*wrong.Seconds())/10), true
	}
	if wk.Rank >= len(l.members) || l.members[wk.Rank] == nil || l.members[0] == nil {
		return 0, "", false
	}
	by, ok = l.members[wk.Rank].clock.behind(&l.members[0].clock)
	return by, "about " + run.ShortDuration(by.Abs()), ok && by.Abs() >= least
}
