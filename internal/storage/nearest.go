package storage

import (
	"errors"
	"io/fs"
	"syscall"
	"unicode/utf8"

	"github.com/agext/levenshtein"
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

// distance is Levenshtein's; beyond 64 bytes it is the length of the longer, since nothing is near.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	return levenshtein.Distance(a, b, nil)
}
