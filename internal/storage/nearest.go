package storage

import (
	"errors"
	"io/fs"
	"syscall"
	"unicode/utf8"

	"github.com/agext/levenshtein"
)

// missing reports whether nothing is at a path, or it goes through a non-folder.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// plain reports whether a list field can hold the name: visible text without commas.
func plain(name string) bool {
	for _, r := range name {
		if hidden(r) || r == ',' {
			return false
		}
	}
	return utf8.ValidString(name)
}

// distance is Levenshtein's; beyond 64 bytes just the length of the longer.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	return levenshtein.Distance(a, b, nil)
}
