package mesh

import (
	"cmp"
	"math"
	"slices"
)

// usualRounds is how many of the newest rounds say how long things take.
const usualRounds = 200

// begin places the start of an attempt's first round: when its mesh was ready, or as long before its end as rounds usually take.
func (m *Mesh) begin(rounds []Round, attempt int, events []Event) {
	var ready, step []float64
	for _, e := range events {
		if e.Kind == Ready && e.Attempt == attempt && e.At < rounds[0].End {
			ready = append(ready, e.At)
		}
	}
	for _, r := range rounds[1:min(len(rounds), usualRounds)] {
		if r.Steps > 0 {
			step = append(step, max(0, r.Seconds()-r.Reduce)/float64(r.Steps))
		}
	}
	first := &rounds[0]
	first.Start = first.End - first.Reduce - max(first.Slowest-first.Reduce, median(step)*float64(first.Steps))
	if at := median(ready); at > 0 && at < first.End-first.Slowest {
		first.Start = at
	}
}

// between adds what workers did outside the rounds that they took part in.
func (m *Mesh) between(rounds []Round, attempt int, events []Event) {
	for _, e := range events {
		lane, known := m.lane[e.Rank]
		if e.Attempt != attempt || !known || e.Kind != Joining && e.Kind != Ended {
			continue
		}
		k := slices.IndexFunc(rounds, func(r Round) bool { return r.End > e.At })
		switch {
		case k < 0:
			continue
		case e.Kind == Ended && (k == 0 || rounds[k-1].cells[lane].Member) && !rounds[k].cells[lane].Member:
			m.span(lane, Span{Computing, rounds[k].Start, e.At})
		case e.Kind == Joining:
			until := rounds[len(rounds)-1].End
			for ; k < len(rounds); k++ {
				if rounds[k].cells[lane].Member {
					until = rounds[k].Start
					break
				}
			}
			m.span(lane, Span{Recovering, e.At, until})
		}
	}
}

func (m *Mesh) span(lane int, s Span) {
	if s.To > s.From {
		m.Lanes[lane].Spans = append(m.Lanes[lane].Spans, s)
	}
}

// parts are what a lane did in a round that it took part in, in order.
func (r *Round) parts(lane int) [3]Span {
	c := r.cells[lane]
	if !c.Member {
		return [3]Span{}
	}
	sync := min(float64(c.Sync), r.Seconds())
	if c.Failed {
		if c.Sync == 0 {
			sync = r.Seconds()
		}
		return [3]Span{{Computing, r.Start, r.End - sync}, {Alone, r.End - sync, r.End}}
	}
	reduce := r.End - min(r.Reduce, sync)
	return [3]Span{{Computing, r.Start, r.End - sync}, {Waiting, r.End - sync, reduce}, {Syncing, reduce, r.End}}
}

// sum adds up what each worker did.
func (m *Mesh) sum(in Input) {
	if len(m.Rounds) == 0 {
		return
	}
	first, last := m.Span()
	for i := range m.Lanes {
		lane := &m.Lanes[i]
		slices.SortFunc(lane.Spans, func(a, b Span) int { return cmp.Compare(a.From, b.From) })
		var step []float64
		for k := range m.Rounds {
			r := &m.Rounds[k]
			if !r.cells[i].Member {
				continue
			}
			lane.Rounds++
			lane.Tokens += r.Steps * in.TokensStep
			for _, p := range r.parts(i) {
				lane.Seconds[p.State] += p.To - p.From
			}
			if r.Straggler == lane.Rank {
				lane.Last, lane.Cost = lane.Last+1, lane.Cost+r.Cost
			}
			if r.Steps > 0 && k > len(m.Rounds)-usualRounds {
				step = append(step, max(0, r.Seconds()-float64(r.cells[i].Sync))/float64(r.Steps))
			}
		}
		lane.StepTime = median(step)
		for _, s := range lane.Spans {
			lane.Seconds[s.State] += max(0, min(s.To, last)-max(s.From, first))
		}
		lane.Seconds[Absent] = 0
		there := 0.0
		for _, v := range lane.Seconds {
			there += v
		}
		lane.Seconds[Absent] = math.Max(0, last-first-there)
		for state, v := range lane.Seconds {
			m.Seconds[state] += v
		}
	}
}

// Span is from the start of the first round to the end of the last.
func (m *Mesh) Span() (first, last float64) {
	if len(m.Rounds) == 0 {
		return 0, 0
	}
	return m.Rounds[0].Start, m.Rounds[len(m.Rounds)-1].End
}

// Computing is the share of the workers' time that they computed, of the time in which they were there; 0 where nothing is known.
func (m *Mesh) Computing() float64 {
	there := 0.0
	for state := Computing; state < states; state++ {
		there += m.Seconds[state]
	}
	if there == 0 {
		return 0
	}
	return m.Seconds[Computing] / there
}

// Ranking are the lanes that cost others time, by how much, the worst first.
func (m *Mesh) Ranking() []*Lane {
	var out []*Lane
	for i := range m.Lanes {
		if m.Lanes[i].Last > 0 {
			out = append(out, &m.Lanes[i])
		}
	}
	slices.SortStableFunc(out, func(a, b *Lane) int { return cmp.Compare(b.Cost, a.Cost) })
	return out
}
