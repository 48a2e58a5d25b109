package db

import (
	"slices"
	"strings"
	"unicode"
)

// Query is a statement with its arguments.
type Query struct {
	SQL  string
	Args []any
}

// Search returns queries for the IDs of the newest runs whose texts contain one of at least three characters, without line
// break: up to limit of those with numbers below one, newest first. The first query that reaches the limit answers, or else
// the last.
func (d *DB) Search(text string, below int64, limit int) []Query {
	return d.dialect.search(text, below, limit)
}

// searchSQLite walks down the index from the newest run that has some trigrams of the text.
func searchSQLite(text string, below int64, limit int) []Query {
	return []Query{{`SELECT t.id FROM run_text_index i CROSS JOIN run_texts t ON t.number = i.rowid
		WHERE i.run_text_index MATCH ?1 AND i.rowid < ?2 AND instr(t.text, ?3) > 0 ORDER BY i.rowid DESC LIMIT ?4`,
		[]any{matchAll(telling(text)), below, text, limit}}}
}

// searchPostgres finds what many runs have among the newest, since an index of trigrams finds all runs or none. The second
// query is in two steps, or PostgreSQL could prefer to walk down all runs.
func searchPostgres(text string, below int64, limit int) []Query {
	args := []any{text, below, limit}
	return []Query{
		{`SELECT id FROM (SELECT number, id, text FROM run_texts WHERE number < ?2 ORDER BY number DESC LIMIT 10000) AS newest
			WHERE instr(text, ?1) > 0 ORDER BY number DESC LIMIT ?3`, args},
		{`WITH found AS MATERIALIZED (SELECT number, id FROM run_texts WHERE trigrams(text) @> trigrams(?1) AND instr(text, ?1) > 0 AND number < ?2)
			SELECT id FROM found ORDER BY number DESC LIMIT ?3`, args},
	}
}

// maxTelling is how many trigrams are looked up: each that is frequent costs a walk along the runs that have it.
const maxTelling = 4

// telling returns the trigrams of a text that most likely are rare: with digits, or at least within words.
func telling(text string) []string {
	all := trigrams(text)
	for _, rare := range []func(string) bool{
		func(g string) bool { return strings.ContainsFunc(g, unicode.IsDigit) },
		func(g string) bool { return !strings.Contains(g, " ") },
	} {
		if some := slices.DeleteFunc(slices.Clone(all), func(g string) bool { return !rare(g) }); len(some) > 0 {
			all = some
			break
		}
	}
	for len(all) > maxTelling { // of those, some from everywhere
		all = slices.Delete(all, len(all)*2/5, len(all)*2/5+1)
	}
	return all
}

// trigrams returns every three characters of a text that follow each other, once.
func trigrams(text string) (all []string) {
	c := []rune(text)
	known := map[string]bool{}
	for i := range c[2:] {
		if g := string(c[i : i+3]); !known[g] {
			known[g] = true
			all = append(all, g)
		}
	}
	return all
}

// matchAll is the query of FTS5 for rows with all of some words.
func matchAll(words []string) string {
	var query strings.Builder
	for _, w := range words {
		query.WriteString(`"` + strings.ReplaceAll(w, `"`, `""`) + `" `)
	}
	return query.String()
}
