package transfer

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store/db"
)

// marker is the table by which a destination says that its copy is under way.
const marker = "store_copy"

// Left lists the tables that are not copied, with why.
func Left() map[string]string {
	return map[string]string{
		"goose_db_version": "the destination has migrations of its own",
		"console":          "PostgreSQL: which console had that database last",
		"write_checks":     "rows that only show that there is room",
		"run_changes":      "what a console in memory has to read again: the destination's triggers fill it",
		marker:             "how far the copy is",
	}
}

// Tables returns the tables that are copied, their columns by name.
func Tables(ctx context.Context, d *db.DB) ([]db.Table, error) {
	all, err := d.Tables(ctx)
	left := Left()
	all = slices.DeleteFunc(all, func(t db.Table) bool { return left[t.Name] != "" })
	for _, t := range all {
		slices.SortFunc(t.Columns, func(a, b db.TableColumn) int { return cmp.Compare(a.Name, b.Name) })
	}
	return all, err
}

// Differences says how a database's schema differs from what it should be: tables, columns, nullability and unique keys.
// Further tables in it are another program's.
func Differences(want, have []db.Table) (out []string) {
	for _, w := range want {
		i := slices.IndexFunc(have, func(t db.Table) bool { return t.Name == w.Name })
		if i < 0 {
			out = append(out, "there is no table "+w.Name)
			continue
		}
		out = append(out, columnDifferences(w, have[i])...)
		for _, k := range []struct {
			what       string
			want, have any
		}{{"primary key", w.Key, have[i].Key}, {"unique keys", w.Unique, have[i].Unique}} {
			if !reflect.DeepEqual(k.want, k.have) {
				out = append(out, fmt.Sprintf("table %s has the %s %v, not %v", w.Name, k.what, k.have, k.want))
			}
		}
		if len(w.Key) == 0 || slices.ContainsFunc(w.Columns, func(c db.TableColumn) bool { return c.Type == 0 }) {
			out = append(out, fmt.Sprintf("table %s has no primary key, or a type that is not of both databases", w.Name))
		}
	}
	return out
}

func columnDifferences(want, have db.Table) (out []string) {
	named := func(t db.Table, name string) (c db.TableColumn, ok bool) {
		i := slices.IndexFunc(t.Columns, func(c db.TableColumn) bool { return c.Name == name })
		if i < 0 {
			return c, false
		}
		return t.Columns[i], true
	}
	for _, c := range want.Columns {
		h, ok := named(have, c.Name)
		switch {
		case !ok:
			out = append(out, fmt.Sprintf("table %s has no column %s", want.Name, c.Name))
		case h != c:
			out = append(out, fmt.Sprintf("table %s has another type or NULL in column %s", want.Name, c.Name))
		}
	}
	for _, c := range have.Columns {
		if _, ok := named(want, c.Name); !ok {
			out = append(out, fmt.Sprintf("table %s has a column %s", want.Name, c.Name))
		}
	}
	return out
}

// Unfinished refuses a database into which a copy is under way, by an error that says what to do.
func Unfinished(ctx context.Context, d *db.DB) error {
	if under, err := underWay(ctx, d); err != nil || !under {
		return err
	}
	return fault.New(fault.ErrConflict, "A copy into "+d.Name()+" has not finished.",
		"Repeat \"cotrain store copy\" as it was, which goes on where it stopped; or empty the database.")
}

// underWay reports whether a database is the destination of a copy that has not finished.
func underWay(ctx context.Context, d *db.DB) (bool, error) {
	all, err := d.Tables(ctx)
	return slices.ContainsFunc(all, func(t db.Table) bool { return t.Name == marker }), err
}

// empty refuses a database that holds rows.
func empty(ctx context.Context, d *db.DB, tables []db.Table) error {
	for _, t := range tables {
		var rows bool
		if err := d.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM `+t.Name+`)`).Scan(&rows); err != nil {
			return fmt.Errorf("read table %s: %w", t.Name, err)
		}
		if rows {
			return fault.New(fault.ErrConflict, fmt.Sprintf("The destination %s is not empty: there are rows in table %s.", d.Name(), t.Name),
				"Copy into a new database. If this is an earlier copy, it has finished.")
		}
	}
	return nil
}

func names(t db.Table) []string {
	out := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		out[i] = c.Name
	}
	return out
}

func list(names []string) string { return strings.Join(names, ", ") }
