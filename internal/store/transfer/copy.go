package transfer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store/db"
)

// Progress is how far a copy is with one table.
type Progress struct {
	Table     string
	Verifying bool
	Rows      int64 // so far
	Done      bool
}

// Table is a table that was copied.
type Table struct {
	Name string `json:"name"`
	Sum
}

// Copy copies every table of from into to, which is empty or an unfinished copy of the same source, and compares the two.
// Nobody else writes either meanwhile. It resumes after a kill at any moment: until all is copied and the same, to has a
// table by which [Unfinished] and another Copy know it. files copies what belongs to the rows, once the destination is
// accepted.
func Copy(ctx context.Context, from, to *db.DB, files func() error, tell func(Progress)) ([]Table, error) {
	tables, err := matching(ctx, from, to)
	if err != nil {
		return nil, err
	}
	c := copier{from: from, to: to, tell: tell}
	if err := c.begin(ctx, tables); err != nil {
		return nil, err
	}
	if err := files(); err != nil {
		return nil, err
	}
	for _, t := range tables {
		if err := c.copyTable(ctx, t); err != nil {
			return nil, err
		}
	}
	var out []Table
	for _, t := range tables {
		sum, err := c.verify(ctx, t)
		if err != nil {
			return nil, err
		}
		out = append(out, Table{t.Name, sum})
	}
	return out, c.end(ctx, tables)
}

// matching returns the tables to copy, if both databases have them alike. They are those of the database that only a
// console uses.
func matching(ctx context.Context, from, to *db.DB) ([]db.Table, error) {
	own, other := from, to
	if from.Shared() {
		own, other = to, from
	}
	tables, err := Tables(ctx, own)
	if err != nil {
		return nil, err
	}
	there, err := Tables(ctx, other)
	if err != nil {
		return nil, err
	}
	if ds := Differences(tables, there); len(ds) > 0 {
		return nil, fault.New(fault.ErrConflict, fmt.Sprintf("The schema of %s differs from that of %s: %s.", other.Name(), own.Name(), ds[0]), "One of them was changed by hand; undo that.")
	}
	return tables, nil
}

type copier struct {
	from, to *db.DB
	tell     func(Progress)
}

// sourceKey is the marker's row with the source, beside those of tables.
const sourceKey = ""

// begin marks an empty destination, or accepts one marked with the same source.
func (c *copier) begin(ctx context.Context, tables []db.Table) error {
	source, err := identity(ctx, c.from)
	if err != nil {
		return err
	}
	under, err := underWay(ctx, c.to)
	if err != nil {
		return err
	}
	if !under {
		if err := empty(ctx, c.to, tables); err != nil {
			return err
		}
		return c.to.Write(ctx, func(tx *db.Tx) error {
			if _, err := tx.Exec(ctx, `CREATE TABLE `+marker+` (name TEXT PRIMARY KEY, value TEXT NOT NULL)`); err != nil {
				return err
			}
			return mark(ctx, tx, sourceKey, source)
		})
	}
	earlier, err := c.marked(ctx, sourceKey)
	if err == nil && earlier != source {
		return fault.New(fault.ErrConflict, fmt.Sprintf("The destination %s holds an unfinished copy of another source, or of this one before it changed.", c.to.Name()),
			"Empty the destination, or copy into a new one.").Because(fmt.Errorf("it is of %s, not %s", earlier, source))
	}
	return err
}

// identity tells a source from others, and from itself once a console had it meanwhile.
func identity(ctx context.Context, d *db.DB) (string, error) {
	last, err := d.LastNumbers(ctx)
	text := d.Name()
	for _, table := range slices.Sorted(maps.Keys(last)) {
		text += fmt.Sprintf(", %s %d", table, last[table])
	}
	return text, err
}

func mark(ctx context.Context, tx *db.Tx, name, value string) error {
	_, err := tx.Exec(ctx, `INSERT INTO `+marker+` (name, value) VALUES (?,?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	return err
}

// marked returns a row of the marker, or [fault.ErrNotFound].
func (c *copier) marked(ctx context.Context, name string) (value string, err error) {
	return value, c.to.QueryRow(ctx, `SELECT value FROM `+marker+` WHERE name = ?`, name).Scan(&value)
}

// copyTable copies what is left of a table, each batch and its place in one transaction.
func (c *copier) copyTable(ctx context.Context, t db.Table) error {
	b := batches{from: c.from, table: t}
	text, err := c.marked(ctx, t.Name)
	if err == nil {
		b.after, err = decodePlace(t, text)
	}
	if err != nil && !errors.Is(err, fault.ErrNotFound) {
		return err
	}
	for copied := int64(0); ; {
		rows, err := b.next(ctx)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			c.tell(Progress{Table: t.Name, Rows: copied, Done: true})
			return nil
		}
		at, err := b.after.encode()
		if err != nil {
			return err
		}
		err = c.to.Write(ctx, func(tx *db.Tx) error {
			if err := insert(ctx, tx, t, rows); err != nil {
				return err
			}
			return mark(ctx, tx, t.Name, at)
		})
		if err != nil {
			return fmt.Errorf("copy table %s: %w", t.Name, err)
		}
		copied += int64(len(rows))
		c.tell(Progress{Table: t.Name, Rows: copied})
	}
}

// verify compares a table in both databases.
func (c *copier) verify(ctx context.Context, t db.Table) (Sum, error) {
	var from, to Sum
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() (err error) {
		from, err = SumOf(ctx, c.from, t, func(int64) {})
		return err
	})
	both.Go(func() (err error) {
		to, err = SumOf(ctx, c.to, t, func(rows int64) { c.tell(Progress{Table: t.Name, Verifying: true, Rows: rows}) })
		return err
	})
	if err := both.Wait(); err != nil {
		return to, err
	}
	if from != to {
		return to, fault.New(fault.ErrConflict, fmt.Sprintf("Table %s differs: %d rows in %s, %d rows in %s, checksums %.12s and %.12s.", t.Name, from.Rows, c.from.Name(), to.Rows, c.to.Name(), from.Hash, to.Hash),
			"The source has changed since the copy began, or the destination is damaged: empty the destination and copy again.")
	}
	c.tell(Progress{Table: t.Name, Verifying: true, Rows: to.Rows, Done: true})
	return to, nil
}

// end makes the destination a console's: rows are numbered on from where the source is, and the mark goes.
func (c *copier) end(ctx context.Context, tables []db.Table) error {
	last, err := c.from.LastNumbers(ctx)
	if err != nil {
		return err
	}
	numbered, err := c.to.LastNumbers(ctx)
	if err != nil {
		return err
	}
	return c.to.Write(ctx, func(tx *db.Tx) error {
		for _, t := range tables {
			if _, ok := numbered[t.Name]; !ok {
				continue
			}
			var highest int64
			if err := tx.QueryRow(ctx, `SELECT coalesce(max(`+t.Key[0]+`), 0) FROM `+t.Name).Scan(&highest); err != nil {
				return err
			}
			if err := tx.SetLastNumber(ctx, t.Name, max(last[t.Name], highest)); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `DROP TABLE `+marker)
		return err
	})
}
