package check

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// document is a column of JSON, and row an expression that names its row.
type document struct {
	table, row, column string
	read               func([]byte) error
}

func as[T any](data []byte) error {
	var v T
	return json.Unmarshal(data, &v)
}

// stored are the documents that the console reads with their rows: one that cannot be read takes lists with it.
var stored = []document{
	{"runs", "id", "shape", as[run.Shape]},
	{"runs", "id", "options", as[run.Options]},
	{"runs", "id", "origin", as[run.Origin]},
	{"workers", "run_id || ' ' || alloc_id", "body", as[run.Worker]},
	{"sweeps", "id", "spec", as[run.SweepSpec]},
	{"sweeps", "id", "fields", as[[]string]},
	{"templates", "name || ', version ' || version", "shape", as[run.Shape]},
	{"templates", "name || ', version ' || version", "options", as[run.Options]},
	{"streams", "run_id || ' ' || alloc_id || ' ' || stream", "told", as[run.ExitReport]},
}

// documents looks for JSON that cannot be read.
func (c *checker) documents(ctx context.Context) error {
	for _, d := range stored {
		if err := c.document(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) document(ctx context.Context, d document) error {
	rows, err := c.db.Query(ctx, fmt.Sprintf(`SELECT %s, %s FROM %s`, d.row, d.column, d.table))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // already read
	for rows.Next() {
		var row string
		var data []byte
		if err := rows.Scan(&row, &data); err != nil {
			return db.MapError(err)
		}
		if err := d.read(data); err != nil {
			c.tell(Unreadable, "table "+d.table+", "+row, d.column+": "+err.Error(), nil)
		}
	}
	return db.MapError(rows.Err())
}
