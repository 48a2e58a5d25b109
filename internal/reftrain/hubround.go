package reftrain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// average collects every member's vector, in the order of their ranks so that sums repeat, and sends the result. Members
// that are dead, late or wrong are evicted; joiners are admitted.
func (h *hub) average(ctx context.Context, round int64, encoding string, vec []float64, last bool) (view, error) {
	h.newcomers = nil
	value := make([]float64, len(vec))
	own := encodeVector(encoding, vec)
	if err := decodeVector(encoding, own, vec); err != nil { // rounds it as the others' are rounded
		return view{}, fmt.Errorf("this worker's own contribution: %w", err)
	}
	deadline := time.Now().Add(h.o.timing.barrier)
	count := 1.0
	lost := map[*peer]error{}
	order := slices.SortedStableFunc(slices.Values(h.members), func(a, b *peer) int { return cmp.Compare(a.order, b.order) })
	for _, p := range order {
		f, err := p.await(ctx, deadline, frameVector, round)
		if err == nil && f.Encoding != encoding {
			err = fmt.Errorf("%w: encoding %q", errVector, cut(f.Encoding))
		}
		if err == nil {
			err = decodeVector(encoding, f.blob, value)
		}
		if ctx.Err() != nil {
			return view{}, ctx.Err()
		}
		if err != nil {
			lost[p] = err
			continue
		}
		axpy(1, value, vec)
		count++
	}
	if len(lost) > 0 {
		if err := h.evict(lost); err != nil {
			return view{}, err
		}
	}
	for i := range vec {
		vec[i] /= count
	}
	result := encodeVector(encoding, vec)
	if err := decodeVector(encoding, result, vec); err != nil {
		return view{}, fmt.Errorf("average of %.0f workers: %w", count, err)
	}
	if h.o.elastic && !last {
		h.admit()
	}
	h.broadcast(round, result)
	return h.view(), nil
}

// evict drops members. Without DiLoCo the loss of one is the end.
func (h *hub) evict(lost map[*peer]error) error {
	var names []string
	for _, p := range h.members {
		err, ok := lost[p]
		if !ok {
			continue
		}
		switch {
		case errors.Is(err, errNoHeartbeat):
			h.o.log.warn("Node %s has no heartbeat", p.hello.ID)
		case errors.Is(err, errBarrier):
			h.o.log.error("%s", errBarrier)
		default:
			h.o.log.warn("Node %s: %s", p.hello.ID, err)
		}
		names = append(names, p.hello.ID)
		_ = p.send(frame{kind: frameShutdown, header: header{Reason: "evicted: " + cut(err.Error())}}) // most are gone
		p.fail(err)
	}
	h.o.log.info("Evicting nodes: %s", pyList(names))
	if !h.o.elastic {
		return fmt.Errorf("%w: %s", errWorkerLost, pyList(names))
	}
	h.members = slices.DeleteFunc(h.members, func(p *peer) bool { _, ok := lost[p]; return ok })
	return nil
}

// admit makes the waiting peers members, at the end of the order.
func (h *hub) admit() {
	h.mu.Lock()
	h.newcomers = h.waiting
	h.waiting = nil
	h.mu.Unlock()
	h.members = append(h.members, h.newcomers...)
}

// sourceOf returns the member that a newcomer takes its state from, nil for worker 0 itself: also when the rank that it
// asked for is not there, or is a newcomer too.
func (h *hub) sourceOf(p *peer) *peer {
	i := p.hello.Source - 1
	if i < 0 || i >= len(h.members)-len(h.newcomers) {
		return nil
	}
	return h.members[i]
}

// broadcast sends the result to all members but the newcomers behind them, who wait for a state instead.
func (h *hub) broadcast(round int64, result []byte) {
	v := h.view()
	var wg sync.WaitGroup
	for i, p := range h.members[:len(h.members)-len(h.newcomers)] {
		f := frame{kind: frameAverage, header: header{Round: round, Rank: i + 1, Members: v.ids}, blob: result}
		for j, q := range h.newcomers {
			if h.sourceOf(q) == p {
				f.SendTo = append(f.SendTo, len(h.members)-len(h.newcomers)+j+1)
			}
		}
		wg.Go(func() { _ = p.send(f) }) // a failure ends the link, which the next average finds out
	}
	wg.Wait()
}

// handOver starts the newcomers with the state of the member that each asked for, or else with worker 0's.
func (h *hub) handOver(ctx context.Context, snapshot func() ([]byte, error)) error {
	if len(h.newcomers) == 0 {
		return nil
	}
	v := h.view()
	states := map[*peer][]byte{}
	for i, p := range h.newcomers {
		rank := len(h.members) - len(h.newcomers) + i + 1
		src := h.sourceOf(p)
		blob, ok := states[src]
		if !ok && src != nil {
			f, err := src.await(ctx, time.Now().Add(h.o.timing.heartbeatTimeout), frameState, 0)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				h.o.log.error("Error sending ckpt to rank %d: %s; sending worker 0's", rank, err)
				src = nil
				blob, ok = states[nil]
			} else {
				blob, ok = f.blob, true
			}
		}
		if src == nil {
			h.o.log.info("Start live recovery to rank %d", rank)
		}
		if !ok {
			b, err := snapshot()
			if err != nil {
				return err
			}
			blob = b
		}
		states[src] = blob
		f := frame{kind: frameStart, header: header{Rank: rank, Members: v.ids, HasState: true}, blob: blob}
		_ = p.send(f) // a failure ends the link, which the next average finds out
	}
	h.newcomers = nil
	return nil
}
