package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/measure"
)

const (
	// pings are the messages of one contact; the first warms up.
	pings = 12
	// contacts are how many others a node is in contact with at once.
	contacts = 4
	// patience is for a node whose port Nomad has announced before its process listens.
	patience = 10 * time.Second
	// pingTimeout bounds the wait for one answer.
	pingTimeout = 5 * time.Second
)

// extraPorts are those beside Nomad's that a node listens on; 0 where it could not.
type extraPorts struct {
	Next      int `json:"next,omitempty"`
	Ephemeral int `json:"ephemeral,omitempty"`
}

// contactAll measures the round trip to every other node and tries its ports, beginning with the neighbour, so that not all begin with
// the same.
func (n *node) contactAll(ctx context.Context) {
	var each errgroup.Group
	each.SetLimit(contacts)
	until := time.Now().Add(patience)
	total := len(n.c.Spec.Nodes)
	for k := 1; k < total; k++ {
		to := (n.index + k) % total
		id := n.c.Spec.Nodes[to]
		if n.peers[id] == "" {
			n.c.Print(measure.Line{Kind: measure.LinkLine, To: id, Link: &measure.Link{Error: "it did not come within " + n.c.Spec.Limits.Wait.String()}})
			continue
		}
		each.Go(func() error {
			l, err := n.contact(ctx, id, until)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				l = measure.Link{Error: err.Error()}
			}
			n.reached[to].Store(err == nil)
			n.c.Print(measure.Line{Kind: measure.LinkLine, To: id, Link: &l})
			return nil
		})
	}
	_ = each.Wait() // never fails
}

// contact measures the way to one node. Where nobody listens yet it tries again for a while.
func (n *node) contact(ctx context.Context, id string, until time.Time) (measure.Link, error) {
	for {
		conn, err := n.connect(ctx, id, n.peers[id], hello{Kind: kindContact})
		if err == nil {
			defer func() { _ = conn.Close() }() // tells the other that all was tried
			return n.ping(ctx, conn, id)
		}
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Now().After(until) {
			return measure.Link{}, err
		}
		if !sleep(ctx, 200*time.Millisecond) {
			return measure.Link{}, ctx.Err()
		}
	}
}

// ping measures round trips on a connection, and how far the clocks are apart as NTP does: by the exchange that took the least.
func (n *node) ping(ctx context.Context, conn net.Conn, id string) (measure.Link, error) {
	var l measure.Link
	var extra extraPorts
	if err := receive(conn, &extra); err != nil {
		return l, reason(err)
	}
	var trips []time.Duration
	buf := make([]byte, 24)
	for i := range pings {
		_ = conn.SetDeadline(time.Now().Add(pingTimeout))
		sent := time.Now()
		binary.BigEndian.PutUint64(buf, uint64(i)) //nolint:gosec // small
		if _, err := conn.Write(buf[:8]); err != nil {
			return l, reason(err)
		}
		if _, err := io.ReadFull(conn, buf); err != nil {
			return l, reason(err)
		}
		got := time.Now()
		if i == 0 {
			continue
		}
		arrived, left := int64(binary.BigEndian.Uint64(buf[8:])), int64(binary.BigEndian.Uint64(buf[16:])) //nolint:gosec // as written
		trip := max(got.Sub(sent)-time.Duration(left-arrived), 1)
		trips = append(trips, trip)
		if l.RoundTripMin == 0 || trip < l.RoundTripMin {
			l.RoundTripMin = trip
			l.Offset = time.Duration((arrived-sent.UnixNano())/2 + (left-got.UnixNano())/2)
		}
	}
	l.RoundTrip, l.Jitter = spread(trips)
	_ = conn.SetDeadline(time.Time{}) // it stays open while ports are tried
	l.Closed = n.closedPorts(ctx, id, extra)
	return l, nil
}

// spread returns the median, and the mean difference between one and the next.
func spread(trips []time.Duration) (median, jitter time.Duration) {
	for i := 1; i < len(trips); i++ {
		jitter += (trips[i] - trips[i-1]).Abs()
	}
	jitter /= time.Duration(max(1, len(trips)-1))
	sorted := slices.Sorted(slices.Values(trips))
	return sorted[len(sorted)/2], jitter
}

func (n *node) closedPorts(ctx context.Context, id string, extra extraPorts) []string {
	host, _, err := net.SplitHostPort(n.peers[id])
	if err != nil {
		return nil
	}
	var closed []string
	for _, p := range []struct {
		kind string
		port int
	}{{measure.NextPort, extra.Next}, {measure.EphemeralPort, extra.Ephemeral}} {
		if p.port <= 0 || p.port > math.MaxUint16 {
			continue
		}
		conn, err := n.connect(ctx, id, net.JoinHostPort(host, strconv.Itoa(p.port)), hello{Kind: kindPort})
		if err != nil {
			closed = append(closed, p.kind)
			continue
		}
		_ = conn.Close() // it was open
	}
	return closed
}

// answerContact answers round trips until the other has tried all.
func (n *node) answerContact(conn net.Conn, from string) {
	_ = conn.SetDeadline(time.Now().Add(pings*pingTimeout + 4*dialTimeout + 4*handshakeTimeout))
	defer n.wasContacted(from)
	if send(conn, n.extra) != nil {
		return
	}
	buf := make([]byte, 24)
	for {
		if _, err := io.ReadFull(conn, buf[:8]); err != nil {
			return
		}
		binary.BigEndian.PutUint64(buf[8:], uint64(time.Now().UnixNano()))  //nolint:gosec // since 1970
		binary.BigEndian.PutUint64(buf[16:], uint64(time.Now().UnixNano())) //nolint:gosec // likewise
		if _, err := conn.Write(buf); err != nil {
			return
		}
	}
}

// sleep reports whether the time has passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
