package transfer

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/store/db"
)

const (
	// batchRows and batchBytes bound what is in memory, and one transaction.
	batchRows  = 5000
	batchBytes = 4 << 20
	// firstRows is the first batch of a table, whose rows may be large.
	firstRows = 100
	// insertRows is the rows of one statement.
	insertRows = 50
)

// place is a position in a table, by the columns of its primary key; nil is before the first row.
type place []any

func (p place) encode() (string, error) {
	text, err := json.Marshal(p)
	return string(text), err
}

func decodePlace(t db.Table, text string) (place, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil || len(raw) != len(t.Key) {
		return nil, fmt.Errorf("position in table %s: %q: %w", t.Name, text, err)
	}
	out := make(place, len(raw))
	for i, name := range t.Key {
		var err error
		if column(t, name).Type == db.Text {
			out[i], err = decoded[string](raw[i])
		} else {
			out[i], err = decoded[int64](raw[i])
		}
		if err != nil {
			return nil, fmt.Errorf("position in table %s: %w", t.Name, err)
		}
	}
	return out, nil
}

func decoded[T any](raw []byte) (v T, err error) { return v, json.Unmarshal(raw, &v) }

func column(t db.Table, name string) db.TableColumn {
	return t.Columns[slices.IndexFunc(t.Columns, func(c db.TableColumn) bool { return c.Name == name })]
}

// batches reads a table in order of its primary key.
type batches struct {
	from  *db.DB
	table db.Table
	after place
	limit int // rows of the next query; those beyond batchBytes are read in vain
}

// next returns the next rows, none at the end.
func (b *batches) next(ctx context.Context) ([][]any, error) {
	if b.limit == 0 {
		b.limit = firstRows
	}
	key := list(b.table.Key)
	q := `SELECT ` + list(names(b.table)) + ` FROM ` + b.table.Name
	if b.after != nil {
		q += ` WHERE (` + key + `) > (?` + strings.Repeat(",?", len(b.table.Key)-1) + `)`
	}
	rows, err := b.from.Query(ctx, q+` ORDER BY `+key+` LIMIT ?`, append(slices.Clone(b.after), b.limit)...)
	if err != nil {
		return nil, fmt.Errorf("read table %s: %w", b.table.Name, err)
	}
	defer func() { _ = rows.Close() }() // already read, or as much as fits
	var out [][]any
	size := 0
	for size < batchBytes && rows.Next() {
		row, err := scan(rows, b.table)
		if err != nil {
			return nil, fmt.Errorf("read table %s: %w", b.table.Name, err)
		}
		out = append(out, row)
		size += bytesOf(row)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read table %s: %w", b.table.Name, db.MapError(err))
	}
	if size >= batchBytes {
		b.limit = 2 * len(out)
	} else {
		b.limit *= 4
	}
	b.limit = min(b.limit, batchRows)
	if len(out) > 0 {
		b.after = placeOf(b.table, out[len(out)-1])
	}
	return out, nil
}

func scan(row db.Scanner, t db.Table) ([]any, error) {
	out := make([]any, len(t.Columns))
	into := make([]any, len(out))
	for i := range out {
		into[i] = &out[i]
	}
	if err := row.Scan(into...); err != nil {
		return nil, err
	}
	for i, c := range t.Columns {
		switch v := out[i].(type) {
		case []byte:
			if v == nil { // how SQLite's driver returns an empty one
				out[i] = []byte{}
			}
			if c.Type == db.Text {
				out[i] = string(v)
			}
		case int64:
			if c.Type == db.Double {
				out[i] = float64(v)
			}
		}
		out[i] = db.Stored(out[i])
	}
	return out, nil
}

// bytesOf is about what a row takes in memory.
func bytesOf(row []any) int {
	const each = 24
	n := each * len(row)
	for _, v := range row {
		switch v := v.(type) {
		case string:
			n += len(v)
		case []byte:
			n += len(v)
		}
	}
	return n
}

func placeOf(t db.Table, row []any) place {
	out := make(place, len(t.Key))
	for i, name := range t.Key {
		out[i] = row[slices.IndexFunc(t.Columns, func(c db.TableColumn) bool { return c.Name == name })]
	}
	return out
}

// insert stores rows, in few statements.
func insert(ctx context.Context, tx *db.Tx, t db.Table, rows [][]any) error {
	values := `(?` + strings.Repeat(",?", len(t.Columns)-1) + `)`
	into := `INSERT INTO ` + t.Name + ` (` + list(names(t)) + `) VALUES `
	one, many := into+values, into+strings.Repeat(values+",", insertRows-1)+values
	for len(rows) > 0 {
		n, q := 1, one
		if len(rows) >= insertRows {
			n, q = insertRows, many
		}
		if _, err := tx.Exec(ctx, q, slices.Concat(rows[:n]...)...); err != nil {
			return fmt.Errorf("write table %s: %w", t.Name, err)
		}
		rows = rows[n:]
	}
	return nil
}
