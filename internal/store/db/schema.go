package db

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
)

// Table is a table of the schema as the database itself describes it.
type Table struct {
	Name    string
	Columns []TableColumn
	Key     []string   // the columns of its primary key, in its order
	Unique  [][]string // the columns of each unique key, that one among them, sorted
}

// TableColumn is a column of a [Table].
type TableColumn struct {
	Name     string
	Type     Type
	Nullable bool
}

// Type is what a column holds, the same in both databases.
type Type int

// The types.
const (
	Text Type = iota + 1
	Integer
	Double
	Blob
)

// types are their names in both databases.
var types = map[string]Type{
	"TEXT": Text, "INTEGER": Integer, "REAL": Double, "BLOB": Blob,
	"text": Text, "bigint": Integer, "double precision": Double, "bytea": Blob,
}

// catalog is how a database describes its schema.
type catalog struct {
	columns     string // lists table, column, type, not null and place in the primary key, by table
	uniqueKeys  string // lists a table and the columns of a key, separated by commas
	lastNumbers string // lists tables whose rows are numbered, with the last number
	// verify lists damage that the database finds itself, at most ?1; "" for where that is the database's own affair.
	verify string
	// setLastNumber takes the table as ?1 and the number as ?2.
	setLastNumber []string
}

var sqliteCatalog = catalog{
	columns: `SELECT t.name, c.name, c.type, c."notnull", c.pk FROM pragma_table_list t JOIN pragma_table_info(t.name) c
		WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY t.name, c.cid`,
	uniqueKeys: `SELECT t.name, (SELECT group_concat(name) FROM pragma_index_info(i.name)) FROM pragma_table_list t JOIN pragma_index_list(t.name) i
		WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND i."unique" AND NOT i.partial`,
	lastNumbers: `SELECT t.name, coalesce(s.seq, 0) FROM sqlite_schema t LEFT JOIN sqlite_sequence s ON s.name = t.name
		WHERE t.type = 'table' AND t.sql LIKE '%AUTOINCREMENT%'`,
	verify: `SELECT integrity_check FROM pragma_integrity_check LIMIT ?1`,
	setLastNumber: []string{
		`UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1`,
		`INSERT INTO sqlite_sequence (name, seq) SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?1)`,
	},
}

const (
	postgresSequence = `pg_get_serial_sequence(format('%I', c.relname), a.attname)::regclass`
	postgresNumbered = ` FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attidentity <> '' AND NOT a.attisdropped
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'`
)

var postgresCatalog = catalog{
	columns: `SELECT c.relname, a.attname, format_type(a.atttypid, NULL), a.attnotnull, coalesce((SELECT k.place FROM pg_index i,
			unnest((i.indkey::smallint[])[:i.indnkeyatts - 1]) WITH ORDINALITY AS k (column_number, place) WHERE i.indrelid = c.oid AND i.indisprimary AND k.column_number = a.attnum), 0)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') ORDER BY c.relname COLLATE "C", a.attnum`,
	uniqueKeys: `SELECT c.relname, (SELECT string_agg(a.attname, ',') FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY ((i.indkey::smallint[])[:i.indnkeyatts - 1]))
		FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')`,
	lastNumbers:   `SELECT c.relname, coalesce(pg_sequence_last_value(` + postgresSequence + `), 0)` + postgresNumbered,
	setLastNumber: []string{`SELECT setval(` + postgresSequence + `, greatest(?2::bigint, pg_sequence_last_value(` + postgresSequence + `)))` + postgresNumbered + ` AND c.relname = ?1`},
}

// Tables returns the tables of the schema by name, without what belongs to an index.
func (d *DB) Tables(ctx context.Context) ([]Table, error) {
	type cell struct {
		table, column, typ string
		notNull            bool
		key                int // place in the primary key, from 1
	}
	cells, err := Select(ctx, d, func(row Scanner) (c cell, err error) {
		return c, row.Scan(&c.table, &c.column, &c.typ, &c.notNull, &c.key)
	}, d.dialect.catalog.columns)
	if err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	var out []Table
	var keys []cell
	for _, c := range cells {
		if len(out) == 0 || out[len(out)-1].Name != c.table {
			out = append(out, Table{Name: c.table})
		}
		t := &out[len(out)-1]
		t.Columns = append(t.Columns, TableColumn{c.column, types[c.typ], !c.notNull && c.key == 0})
		if c.key > 0 {
			keys = append(keys, c)
		}
	}
	slices.SortFunc(keys, func(a, b cell) int { return cmp.Compare(a.key, b.key) })
	for _, c := range keys {
		t := tableNamed(out, c.table)
		t.Key = append(t.Key, c.column)
	}
	return out, d.uniqueKeys(ctx, out)
}

func tableNamed(tables []Table, name string) *Table {
	n, _ := slices.BinarySearchFunc(tables, name, func(t Table, name string) int { return cmp.Compare(t.Name, name) })
	return &tables[n]
}

func (d *DB) uniqueKeys(ctx context.Context, tables []Table) error {
	type key struct{ table, columns string }
	keys, err := Select(ctx, d, func(row Scanner) (k key, err error) { return k, row.Scan(&k.table, &k.columns) }, d.dialect.catalog.uniqueKeys)
	if err != nil {
		return fmt.Errorf("read the schema: %w", err)
	}
	for _, k := range keys {
		t := tableNamed(tables, k.table)
		t.Unique = append(t.Unique, strings.Split(k.columns, ","))
	}
	for i := range tables {
		t := &tables[i]
		if key := slices.Clone(t.Key); len(key) > 0 {
			t.Unique = append(t.Unique, key)
		}
		for _, columns := range t.Unique {
			slices.Sort(columns)
		}
		slices.SortFunc(t.Unique, slices.Compare)
		t.Unique = slices.CompactFunc(t.Unique, slices.Equal)
	}
	return nil
}

// LastNumbers returns the last number that each table whose rows the database numbers has given, 0 before the first: the
// next row gets a greater one, whichever rows are left.
func (d *DB) LastNumbers(ctx context.Context) (map[string]int64, error) {
	type last struct {
		table  string
		number int64
	}
	all, err := Select(ctx, d, func(row Scanner) (l last, err error) { return l, row.Scan(&l.table, &l.number) }, d.dialect.catalog.lastNumbers)
	if err != nil {
		return nil, fmt.Errorf("read the last numbers: %w", err)
	}
	out := map[string]int64{}
	for _, l := range all {
		out[l.table] = l.number
	}
	return out, nil
}

// SetLastNumber makes a table's rows be numbered from the next number on, not from a lower one than it would anyway.
func (t *Tx) SetLastNumber(ctx context.Context, table string, number int64) error {
	if number == 0 {
		return nil
	}
	for _, q := range t.dialect.catalog.setLastNumber {
		if _, err := t.Exec(ctx, q, table, number); err != nil {
			return fmt.Errorf("number the rows of %s: %w", table, err)
		}
	}
	return nil
}

// Stored is a value as both databases return it after it was stored.
func Stored(value any) any {
	if f, ok := value.(float64); ok && math.IsNaN(f) {
		return nil
	}
	in, err := arguments([]any{value})
	if err != nil { // of a driver.Valuer, which no database returns
		return value
	}
	return in[0]
}

// Verify returns at most limit descriptions of damage that the database itself can find.
func (d *DB) Verify(ctx context.Context, limit int) ([]string, error) {
	found, err := d.list(ctx, d.dialect.catalog.verify, limit)
	return slices.DeleteFunc(found, func(s string) bool { return s == "ok" }), err
}

func (d *DB) list(ctx context.Context, query string, limit int) ([]string, error) {
	if query == "" {
		return nil, nil
	}
	return Select(ctx, d, One[string], query, limit)
}

// current refuses a database whose schema is not the one that the migrations lead to.
func (d *DB) current(ctx context.Context, m Migrations) error {
	all, err := m.of(d.dialect)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	var want int64
	for _, one := range all {
		want = max(want, one.Version)
	}
	d.read = d.write
	tables, err := d.Tables(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(tables, func(t Table) bool { return t.Name == "goose_db_version" }) {
		return fault.New(fault.ErrNotFound, "There is no console's data in "+d.Name()+".", "Check the address, and for PostgreSQL the schema (search_path).")
	}
	var have int64
	if err := d.write.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version`).Scan(&have); err != nil {
		return fmt.Errorf("read schema version: %w", MapError(err))
	}
	switch {
	case have < want:
		return fault.New(fault.ErrConflict, fmt.Sprintf("The schema of %s is version %d, and this program's is %d.", d.Name(), have, want),
			"Start this program's console on it once (cotrain server), which brings it up to date, and stop it again.")
	case have > want:
		return fault.New(fault.ErrConflict, fmt.Sprintf("The schema of %s is version %d, and this program knows up to %d.", d.Name(), have, want), "Use a newer cotrain.")
	}
	return nil
}
