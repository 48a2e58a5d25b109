package mesh

// Drawn is how many states a grid tells the shares of: all but absent, which is the rest.
const Drawn = int(states) - 1

// Grid is what lanes did in equal columns of time.
type Grid struct {
	Columns int
	// Cells has, lane by lane and column by column, the share of each state from [Computing] on, 255 for all of the time.
	Cells []byte
}

// Grid sums up what the lanes did between two times, in so many columns.
func (m *Mesh) Grid(from, to float64, columns int) Grid {
	g := Grid{Columns: columns, Cells: make([]byte, len(m.Lanes)*columns*Drawn)}
	if !(to > from) || columns < 1 {
		return g
	}
	width := (to - from) / float64(columns)
	shares := make([]float32, columns*Drawn)
	first, last := m.Within(from, to)
	for lane := range m.Lanes {
		clear(shares)
		add := func(s Span) {
			a, b := max(s.From, from), min(s.To, to)
			if s.State == Absent || b <= a {
				return
			}
			i, end := int((a-from)/width), min(columns-1, int((b-from)/width))
			for ; i <= end; i++ {
				left := from + float64(i)*width
				if part := min(b, left+width) - max(a, left); part > 0 {
					shares[i*Drawn+int(s.State)-1] += float32(part / width)
				}
			}
		}
		for k := first; k < last; k++ {
			for _, p := range m.Rounds[k].parts(lane) {
				add(p)
			}
		}
		for _, s := range m.Lanes[lane].Spans {
			add(s)
		}
		cells := g.Cells[lane*columns*Drawn:]
		for i, v := range shares {
			cells[i] = byte(min(255, 255*v+0.5))
		}
	}
	return g
}

// Within are the rounds that overlap a range of time: from first, before last.
func (m *Mesh) Within(from, to float64) (first, last int) {
	first, _ = m.At(from)
	for first < len(m.Rounds) && m.Rounds[first].End <= from {
		first++
	}
	for last = first; last < len(m.Rounds) && m.Rounds[last].Start < to; last++ {
	}
	return first, last
}
