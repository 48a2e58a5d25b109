package storage

import (
	"errors"
	"io/fs"
	"syscall"
	"unicode/utf8"
)

// missing reports whether an error says that there is nothing at a path, or that it goes through what is no folder.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// plain reports whether a name can be typed into a field that takes a list: text that shows as itself, without commas.
func plain(name string) bool {
	for _, r := range name {
		if hidden(r) || r == ',' {
			return false
		}
	}
	return utf8.ValidString(name)
}

// distance is Levenshtein's distance in bytes; beyond 64 bytes it is the length of the longer, since nothing is near.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		if a == b {
			return 0
		}
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
