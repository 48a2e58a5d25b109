package storage

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// cursor is the start of a page: after a key or, in a folder too large to sort, after a number of names.
type cursor struct {
	set      bool
	key      key
	unsorted bool
	skip     int
}

// text encodes the cursor with its order.
func (c cursor) text(q Query) string {
	if c.unsorted {
		return "u" + strconv.Itoa(c.skip)
	}
	order := string(q.Sort[0])
	if q.Descending {
		order = strings.ToUpper(order)
	}
	return order + strconv.FormatInt(c.key.number, 36) + "." + base64.RawURLEncoding.EncodeToString([]byte(c.key.name))
}

// maxCursor is in bytes; a name has at most 255.
const maxCursor = 600

// parseCursor restarts at the first page if the order has changed.
func parseCursor(q Query) (cursor, error) {
	if q.Sort != SortName && q.Sort != SortSize && q.Sort != SortTime {
		return cursor{}, run.FieldErrors{{Field: "sort", Value: fault.Clip(Display(string(q.Sort)), 50), Rule: "must be name, size or time", Fix: "use name"}}
	}
	text := q.Cursor
	if text == "" {
		return cursor{}, nil
	}
	bad := run.FieldErrors{{Field: "cursor", Value: fault.Clip(Display(text), 50), Rule: "is not the next of a page", Fix: "leave it out to begin anew"}}
	if len(text) > maxCursor {
		return cursor{}, bad
	}
	if digits, ok := strings.CutPrefix(text, "u"); ok {
		n, err := strconv.ParseUint(digits, 10, 31)
		if err != nil {
			return cursor{}, bad
		}
		return cursor{unsorted: true, skip: int(n)}, nil // #nosec G115 -- 31 bits
	}
	number, name, ok := strings.Cut(text[1:], ".")
	n, err := strconv.ParseInt(number, 36, 64)
	b, err64 := base64.RawURLEncoding.DecodeString(name)
	if !ok || err != nil || err64 != nil || !strings.ContainsAny(text[:1], "nstNST") {
		return cursor{}, bad
	}
	c := cursor{set: true, key: key{name: string(b), number: n}}
	if c.text(q)[0] != text[0] {
		return cursor{}, nil
	}
	return c, nil
}
