package trainconf

import (
	"maps"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// maxSuggest is the longest key that is compared with the known ones: beyond it nothing can be near.
const maxSuggest = 64

// nearestPath returns the known path that an unknown one most likely means, or "". The same key in another table
// counts as nearest of all, since that is the most frequent mistake.
func nearestPath(path string, table bool) string {
	if len(path) > maxSuggest {
		return ""
	}
	path = strings.ToLower(path)
	key := path[strings.LastIndexByte(path, '.')+1:]
	best, bestScore := "", max(2, len(path)/4)+1
	if table {
		for _, t := range slices.Sorted(maps.Keys(schemaTables)) {
			if d := levenshtein.Distance(path, t, nil); d < bestScore {
				best, bestScore = t, d
			}
		}
		return best
	}
	for _, f := range schema {
		score := levenshtein.Distance(path, f.Path, nil)
		if key != "" {
			// A distance of the key alone, plus one for the wrong table; short keys must match exactly.
			if d := levenshtein.Distance(key, f.Key(), nil); d == 0 || (d == 1 && len(key) > 4) {
				score = min(score, d+1)
			}
		}
		if score < bestScore {
			best, bestScore = f.Path, score
		}
	}
	return best
}

// nearestChoice returns the choice that text most likely means, or "".
func nearestChoice(text string, choices []string) string {
	if len(text) > maxSuggest {
		return ""
	}
	best, bestScore := "", max(1, len(text)/3)+1
	for _, c := range choices {
		if d := levenshtein.Distance(strings.ToLower(text), strings.ToLower(c), nil); d < bestScore {
			best, bestScore = c, d
		}
	}
	return best
}
