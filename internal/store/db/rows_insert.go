package db

import (
	"context"
	"strings"
)

// Column is a column of new rows: whole numbers, or others of which NaN is stored as NULL.
type Column struct {
	Name   string
	Ints   []int64
	Floats []float64
}

// rowsPerInsert saves most of the cost of calling SQLite.
const rowsPerInsert = 64

// InsertRows stores rows, given by column, in the few statements that the database takes best. then is what follows the
// rows, such as ON CONFLICT. A unique key may be there once.
func (t *Tx) InsertRows(ctx context.Context, table string, columns []Column, then string) error {
	if t.dialect.arrays {
		return t.insertArrays(ctx, table, columns, then)
	}
	n := max(len(columns[0].Ints), len(columns[0].Floats))
	for from := 0; from < n; {
		rows := 1
		if n-from >= rowsPerInsert {
			rows = rowsPerInsert
		}
		args := make([]any, 0, rows*len(columns))
		for i := from; i < from+rows; i++ {
			for _, c := range columns {
				if c.Ints != nil {
					args = append(args, c.Ints[i])
				} else {
					args = append(args, c.Floats[i])
				}
			}
		}
		if _, err := t.Exec(ctx, insertValues(table, columns, rows)+then, args...); err != nil {
			return err
		}
		from += rows
	}
	return nil
}

func names(columns []Column) string {
	var all []string
	for _, c := range columns {
		all = append(all, c.Name)
	}
	return strings.Join(all, ", ")
}

func insertValues(table string, columns []Column, rows int) string {
	row := `(` + strings.Repeat(`?,`, len(columns)-1) + `?)`
	return `INSERT INTO ` + table + ` (` + names(columns) + `) VALUES ` + strings.Repeat(row+`,`, rows-1) + row
}

// insertArrays gives PostgreSQL a column as one parameter.
func (t *Tx) insertArrays(ctx context.Context, table string, columns []Column, then string) error {
	var values, types []string
	var args []any
	for _, c := range columns {
		if c.Ints != nil {
			values, types, args = append(values, c.Name), append(types, `?::bigint[]`), append(args, c.Ints)
		} else {
			values, types, args = append(values, `NULLIF(`+c.Name+`, 'NaN')`), append(types, `?::float8[]`), append(args, c.Floats)
		}
	}
	_, err := t.Exec(ctx, `INSERT INTO `+table+` (`+names(columns)+`) SELECT `+strings.Join(values, ", ")+
		` FROM unnest(`+strings.Join(types, ", ")+`) AS new (`+names(columns)+`)`+then, args...)
	return err
}
