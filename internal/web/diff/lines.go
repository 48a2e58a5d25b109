package diff

import (
	"slices"

	view "github.com/cotrain/cotrain/views/diff"
)

const (
	diffContext = 3       // unchanged lines shown around a change
	maxDiffWork = 4 << 20 // pairs of lines looked at; above it the middle is shown as replaced
)

// diffLines is the unified view of two texts: what stays, goes and comes, with unchanged stretches left out. It is empty
// when both are the same.
func diffLines(a, b []string) []view.Line {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	if head == len(a) && head == len(b) {
		return nil
	}
	var out []view.Line
	for _, line := range a[:head] {
		out = append(out, view.Line{Op: ' ', Text: line})
	}
	out = append(out, diffMiddle(a[head:len(a)-tail], b[head:len(b)-tail])...)
	for _, line := range a[len(a)-tail:] {
		out = append(out, view.Line{Op: ' ', Text: line})
	}
	return cutUnchanged(out)
}

// diffMiddle finds a longest common subsequence of lines.
func diffMiddle(a, b []string) []view.Line {
	var out []view.Line
	i, j := 0, 0
	if len(a)*len(b) <= maxDiffWork {
		common := make([][]int, len(a)+1) // [i][j]: common lines of a[i:] and b[j:]
		for i := range common {
			common[i] = make([]int, len(b)+1)
		}
		for i, la := range slices.Backward(a) {
			for j, lb := range slices.Backward(b) {
				if la == lb {
					common[i][j] = common[i+1][j+1] + 1
				} else {
					common[i][j] = max(common[i+1][j], common[i][j+1])
				}
			}
		}
		for i < len(a) && j < len(b) {
			switch {
			case a[i] == b[j]:
				out = append(out, view.Line{Op: ' ', Text: a[i]})
				i, j = i+1, j+1
			case common[i+1][j] >= common[i][j+1]:
				out = append(out, view.Line{Op: '-', Text: a[i]})
				i++
			default:
				out = append(out, view.Line{Op: '+', Text: b[j]})
				j++
			}
		}
	}
	for _, line := range a[i:] {
		out = append(out, view.Line{Op: '-', Text: line})
	}
	for _, line := range b[j:] {
		out = append(out, view.Line{Op: '+', Text: line})
	}
	return out
}

// cutUnchanged replaces stretches of unchanged lines that are far from a change with a mark; the heads of their tables
// are what a reader would miss, so the mark carries the last one.
func cutUnchanged(lines []view.Line) []view.Line {
	near := make([]bool, len(lines))
	for i, l := range lines {
		if l.Op != ' ' {
			for k := max(0, i-diffContext); k <= min(len(lines)-1, i+diffContext); k++ {
				near[k] = true
			}
		}
	}
	var out []view.Line
	for i := 0; i < len(lines); i++ {
		if near[i] {
			out = append(out, lines[i])
			continue
		}
		table := ""
		for ; i < len(lines) && !near[i]; i++ {
			if len(lines[i].Text) > 0 && lines[i].Text[0] == '[' {
				table = lines[i].Text
			}
		}
		if i == len(lines) {
			table = ""
		}
		i--
		out = append(out, view.Line{Op: '@', Text: table})
	}
	return out
}
