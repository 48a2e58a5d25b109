package store_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
	"github.com/cotrain/cotrain/internal/store/storetest"
)

type statement struct {
	method, query string
	args          []any
}

// statements records what a store executes, each form of a statement once.
func statements(t *testing.T, s *store.Store, f storetest.Filled) []statement {
	t.Helper()
	calls := uses(s, f)
	var methods []string
	for m := range reflect.TypeFor[*store.Store]().Methods() {
		switch {
		case slices.Contains(notQueries, m.Name):
		case calls[m.Name] == nil:
			t.Errorf("the plans of Store.%s are not tested", m.Name)
		default:
			methods = append(methods, m.Name)
		}
	}
	for name := range calls {
		if strings.HasPrefix(name, "Audit.") {
			methods = append(methods, name)
		}
	}
	slices.Sort(methods)
	slices.SortStableFunc(methods, func(a, b string) int { return turn(a) - turn(b) })
	var out []statement
	known := map[string]bool{}
	for _, name := range methods {
		ctx := db.Trace(t.Context(), func(query string, args []any) {
			if form := lists.ReplaceAllString(query, "list"); !known[form] {
				known[form] = true
				out = append(out, statement{name, query, slices.Clone(args)})
			}
		})
		if err := calls[name](ctx); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	return out
}

// lists are lists of parameters.
var lists = regexp.MustCompile(`[?$]\d*(, ?[?$]\d*)+`)

// turn has what others need come first, and what removes it last.
func turn(method string) int {
	switch {
	case method == "CreateUser":
		return 0
	case slices.Contains([]string{"CreateRun", "CreateSweep", "SaveTemplate", "Update", "Commit", "CreateProject", "CreateToken", "SetFactor", "UseFactor", "AddPasskey", "RegisterSecret", "StartMeasurement", "Audit.AppendAlone"}, method):
		return 1
	case strings.HasPrefix(method, "Delete"), method == "Audit.Cut":
		return 3
	}
	return 2
}

// small are the tables that do not grow with runs, events or points: what waits for something, the logs of live runs, what
// people wrote by hand, the people themselves.
var small = []string{"orders", "stale_curves", "stale_metrics", "log_chunks", "templates", "write_checks", "audit_head", "audit_marks", "console", "goose_db_version",
	"users", "projects", "members", "access_revision", "sessions", "api_tokens", "devices", "identities", "group_roles", "used_logins", "totp", "recovery_codes", "passkeys", "run_secrets", "cause_rules", "measurements", "measured_nodes", "layouts", "log_leftovers", "log_limits", "log_usage"}

// queueIndexes hold only what waits, for its turn or to be measured.
var queueIndexes = regexp.MustCompile(`INDEX (runs_line|attempts_maybe_sent|log_blocks_unmeasured)$`)

// TestNoQueryReadsAWholeTableInSQLite has SQLite explain all that the store executes. It has no statistics, so that the plans
// are the same for a few runs as for a million.
func TestNoQueryReadsAWholeTableInSQLite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	conn := openSQL(t, "sqlite", filepath.Join(dir, "cotrain.db")+"?_pragma=busy_timeout(5000)&_pragma=synchronous(0)")
	f := storetest.Many(t, s, conn, 10_000)
	logMany(t, s)
	growing := growingTables(t, conn, `SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE '%VIRTUAL%'`)
	for _, st := range statements(t, s, f) {
		plan, err := s.Plan(t.Context(), st.query, st.args...)
		if err != nil {
			t.Errorf("%s: %v: %s", st.method, err, st.query)
		}
		for _, step := range plan {
			if what, ok := strings.CutPrefix(step, "SCAN "); ok && slices.Contains(growing, tableOf(st.query, strings.Fields(what)[0])) && !queueIndexes.MatchString(what) {
				t.Errorf("%s reads all of %s:\n%s\n%s", st.method, what, st.query, strings.Join(plan, "\n"))
			}
		}
	}
}

// logMany fills the audit log.
func logMany(t *testing.T, s *store.Store) {
	t.Helper()
	for i := range 10 {
		entries := make([]audit.Entry, 2000)
		for j := range entries {
			n := 2000*i + j
			entries[j] = audit.Entry{Action: "runs.stop", Project: "planned", Subject: fmt.Sprintf("run:r-%010d", n), Request: fmt.Sprint("q", n), Actor: audit.Actor{Name: fmt.Sprint("user", n%50), Address: fmt.Sprint("10.0.0.", n%50)}}
		}
		if err := s.Audit.AppendAlone(t.Context(), entries...); err != nil {
			t.Fatal(err)
		}
	}
	for more := true; more; {
		var err error
		if more, err = s.Audit.Index(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// tableOf returns the table with an alias in a query.
func tableOf(query, alias string) string {
	if found := regexp.MustCompile(`(?:FROM|JOIN) (\w+) (?:AS )?` + regexp.QuoteMeta(alias) + `\b`).FindStringSubmatch(query); found != nil {
		return found[1]
	}
	return alias
}

func growingTables(t *testing.T, conn *sql.DB, query string) []string {
	t.Helper()
	rows, err := conn.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	names, err := db.Collect(rows, db.One[string])
	if err != nil || len(names) < 15 {
		t.Fatal(names, err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(small, name) })
}

func openSQL(t *testing.T, driver, name string) *sql.DB {
	t.Helper()
	conn, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

const (
	// plannedRuns are filled; then PostgreSQL is told that there are 50 times as many rows, those of a million runs.
	plannedRuns, pretended = 20_000, 50
	// mostRows is the most rows that a query may touch: those of the catalog of runs are read in batches.
	mostRows = 11_000
)

// TestNoQueryReadsAWholeTableInPostgreSQL has PostgreSQL explain all that the store executes, for the values as they are and
// for any, as a prepared statement's plan is; and count the rows that each query touches.
func TestNoQueryReadsAWholeTableInPostgreSQL(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	s := openPostgres(t, url)
	conn := openSQL(t, "pgx", url+"&search_path=cotrain&plan_cache_mode=force_generic_plan&jit=off")
	execute := func(query string) {
		t.Helper()
		if _, err := conn.ExecContext(t.Context(), query); err != nil {
			t.Fatalf("%v: %s", err, query)
		}
	}
	growing := growingTables(t, conn, `SELECT tablename FROM pg_tables WHERE schemaname = 'cotrain'`)
	for _, table := range growing {
		execute(`ALTER TABLE ` + table + ` SET (autovacuum_enabled = false)`) // the statistics stay as they are
	}
	f := storetest.Many(t, s, conn, plannedRuns)
	logMany(t, s)
	execute(`VACUUM ANALYZE`)
	all := statements(t, s, f)
	for _, st := range all {
		if n := touched(t, conn, st); n > mostRows {
			t.Errorf("%s touches %d rows: %s", st.method, n, st.query)
		}
	}
	execute(fmt.Sprintf(`UPDATE pg_class SET reltuples = reltuples * %d WHERE relnamespace = 'cotrain'::regnamespace AND reltuples > 0`, pretended))
	for _, st := range all {
		plan, err := s.Plan(t.Context(), st.query, st.args...)
		if err != nil {
			t.Errorf("%s: %v: %s", st.method, err, st.query)
		}
		for kind, plan := range map[string][]string{"for its values": plan, "for any values": genericPlan(t, conn, st.query)} {
			for _, step := range plan {
				if found := seqScan.FindStringSubmatch(step); found != nil && slices.Contains(growing, found[1]) {
					t.Errorf("%s reads all of %s, %s:\n%s\n%s", st.method, found[1], kind, st.query, strings.Join(plan, "\n"))
				}
			}
		}
	}
}

var seqScan = regexp.MustCompile(`Seq Scan on (\w+)`)

// genericPlan is the plan of a prepared statement.
func genericPlan(t *testing.T, conn *sql.DB, query string) []string {
	t.Helper()
	if _, err := conn.ExecContext(t.Context(), `PREPARE planned AS `+query); err != nil {
		t.Errorf("%v: %s", err, query)
		return nil
	}
	call := `EXPLAIN EXECUTE planned`
	if n := len(slices.Compact(slices.Sorted(slices.Values(regexp.MustCompile(`\$\d+`).FindAllString(query, -1))))); n > 0 {
		call += `(NULL` + strings.Repeat(", NULL", n-1) + `)`
	}
	rows, err := conn.QueryContext(t.Context(), call)
	var plan []string
	if err == nil {
		plan, err = db.Collect(rows, db.One[string])
	}
	if err != nil {
		t.Errorf("%v: %s", err, query)
	}
	if _, err := conn.ExecContext(t.Context(), `DEALLOCATE planned`); err != nil {
		t.Error(err)
	}
	return plan
}

// touched is how many rows a query reads, those that it drops included.
func touched(t *testing.T, conn *sql.DB, st statement) int {
	t.Helper()
	if !regexp.MustCompile(`^(SELECT|WITH)\b`).MatchString(st.query) || strings.Contains(st.query, "FOR UPDATE") {
		return 0
	}
	var text string
	if err := conn.QueryRowContext(t.Context(), `EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) `+st.query, st.args...).Scan(&text); err != nil {
		t.Errorf("%s: %v: %s", st.method, err, st.query)
		return 0
	}
	var out []struct{ Plan planNode }
	if err := json.Unmarshal([]byte(text), &out); err != nil || len(out) != 1 {
		t.Fatal(err, text)
	}
	return out[0].Plan.touched()
}

type planNode struct {
	Loops    float64 `json:"Actual Loops"`
	Rows     float64 `json:"Actual Rows"`
	Filtered float64 `json:"Rows Removed by Filter"`
	Recheck  float64 `json:"Rows Removed by Index Recheck"`
	Plans    []planNode
}

// touched counts the rows of the nodes that read tables or indexes, which have none below.
func (p planNode) touched() (n int) {
	for _, below := range p.Plans {
		n += below.touched()
	}
	if len(p.Plans) == 0 {
		n = int(p.Loops * (p.Rows + p.Filtered + p.Recheck))
	}
	return n
}
