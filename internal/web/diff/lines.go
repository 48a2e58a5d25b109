package diff

import (
	"slices"

	view "github.com/cotrain/cotrain/views/diff"
)

const (
	diffContext = 3       // unchanged lines around a change
	maxDiffWork = 4 << 20 // pairs of lines; beyond it the middle counts as replaced
)

// diffLines is a unified diff, empty for equal texts.
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
		common := make([][]int, len(a)+1) // [i][j]: of a[i:] and b[j:]
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

// cutUnchanged replaces long unchanged stretches by a mark with their last table header.
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
