package check_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/check"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
	"github.com/cotrain/cotrain/internal/store/storetest"
	"github.com/cotrain/cotrain/internal/store/transfer"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// databases are where a console can be.
var databases = map[string]func(t *testing.T) db.Options{
	"SQLite":     func(*testing.T) db.Options { return db.Options{} },
	"PostgreSQL": func(t *testing.T) db.Options { return db.Options{URL: pgtest.URL(t), MaxConns: 4} },
}

// template is the data folder of a console on SQLite that has stopped.
func template(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), dir)
	must(t, err)
	must(t, storetest.Fill(t.Context(), s, 3))
	must(t, s.Close())
	return dir
}

// console is a copy of it.
func console(t *testing.T, template string, o db.Options) store.Address {
	t.Helper()
	lite := store.Address{Folder: filepath.Join(t.TempDir(), "data")}
	must(t, os.CopyFS(lite.Folder, os.DirFS(template)))
	if o.URL == "" {
		return lite
	}
	a := store.Address{Folder: lite.Folder, Database: o}
	_, err := store.Copy(t.Context(), lite, a, func(transfer.Progress) {})
	must(t, err)
	return a
}

// copyOf is a copy of a console.
func copyOf(t *testing.T, a store.Address) store.Address {
	t.Helper()
	if a.Database.URL == "" {
		return console(t, a.Folder, db.Options{})
	}
	out := store.Address{Folder: filepath.Join(t.TempDir(), "data"), Database: a.Database}
	must(t, os.CopyFS(out.Folder, os.DirFS(a.Folder)))
	out.Database.URL = pgtest.Copy(t, a.Database.URL)
	return out
}

func run(t *testing.T, a store.Address, repair bool) *check.Report {
	t.Helper()
	in, err := store.Inspect(t.Context(), a, repair)
	must(t, err)
	defer func() { must(t, in.Close()) }()
	r, err := check.Run(t.Context(), in, repair)
	must(t, err)
	return r
}

// kinds are how many of each were found, and how many of them repaired.
func kinds(r *check.Report) map[check.Kind][2]int {
	out := map[check.Kind][2]int{}
	for _, f := range r.Found {
		out[f.Kind] = [2]int{f.Count, f.Repaired}
	}
	return out
}

// change runs statements on a stopped console's database.
func change(t *testing.T, a store.Address, statements ...string) {
	t.Helper()
	in, err := store.Inspect(t.Context(), a, true)
	must(t, err)
	defer func() { must(t, in.Close()) }()
	for _, q := range statements {
		if _, err := in.DB.Exec(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

// damage is what was done to a console, and what a check has to find.
type damage struct {
	name       string
	statements []string
	files      func(t *testing.T, logs string)
	want       map[check.Kind]int
	repairs    bool
	harmless   bool
	lite       bool // SQLite only
}

var damages = []damage{
	{name: "nothing"},
	{name: "columns of a run", statements: []string{`UPDATE runs SET priority = 7, max_seconds = 1 WHERE id = 'r-0000000001'`, `UPDATE runs SET sweep = '' WHERE id = 'r-000000000v'`},
		want: map[check.Kind]int{check.RunColumns: 2}, repairs: true},
	{name: "columns of a run that are no JSON", statements: []string{`UPDATE runs SET options = '{' WHERE id = 'r-0000000001'`, `UPDATE runs SET shape = '{bad' WHERE id = 'r-0000000002'`,
		`UPDATE runs SET origin = '[]' WHERE id = 'r-000000000v'`}, want: map[check.Kind]int{check.Unreadable: 3}},
	{name: "other columns that are no JSON", statements: []string{`UPDATE sweeps SET spec = '', fields = '{}'`, `UPDATE templates SET shape = 'x', options = '1'`,
		`UPDATE streams SET told = '' WHERE alloc_id = 'r-0000000001/1'`}, want: map[check.Kind]int{check.Unreadable: 5}},
	{name: "columns of a worker", statements: []string{`UPDATE workers SET rank = 5, state = 'lost', started_at = 1 WHERE alloc_id = 'r-0000000001/1'`},
		want: map[check.Kind]int{check.WorkerColumns: 1}, repairs: true},
	{name: "a body that is no JSON", statements: []string{`UPDATE workers SET body = '' WHERE alloc_id = 'r-0000000001/1'`}, want: map[check.Kind]int{check.Unreadable: 1}},
	{name: "an attempt without its row", statements: []string{`DELETE FROM attempts WHERE run_id = 'r-0000000001'`, `UPDATE runs SET attempt = 3 WHERE id = 'r-0000000002'`},
		want: map[check.Kind]int{check.AttemptMissing: 2}},
	{name: "a text that is missing", statements: []string{`DELETE FROM run_texts WHERE id = 'r-0000000001'`}, want: map[check.Kind]int{check.RunText: 1}, repairs: true},
	{name: "a text of another time", statements: []string{`UPDATE runs SET name = 'renamed' WHERE id = 'r-0000000001'`}, want: map[check.Kind]int{check.RunText: 1}, repairs: true},
	{name: "a state without its event", statements: []string{`UPDATE runs SET state = 'failed' WHERE id = 'r-0000000001'`}, want: map[check.Kind]int{check.RunEvents: 1}},
	{name: "an event that is missing", statements: []string{`DELETE FROM events WHERE run_id = 'r-0000000001' AND to_state = 'pending'`}, want: map[check.Kind]int{check.RunEvents: 1}},
	{name: "a headline", statements: []string{`UPDATE runs SET loss = 3 WHERE id = 'r-0000000001'`, `UPDATE runs SET step = 2000 WHERE id = 'r-0000000002'`},
		want: map[check.Kind]int{check.Headline: 2}, repairs: true},
	{name: "a headline that is too low", statements: []string{`UPDATE runs SET step = 3 WHERE id = 'r-0000000001'`, `UPDATE runs SET step = 3, loss = 2.25 WHERE id = 'r-0000000002'`},
		want: map[check.Kind]int{check.Headline: 2}, repairs: true},
	{name: "a headline that was stored before a worker fell back", statements: []string{`UPDATE runs SET step = 1499, loss = CAST(10 AS DOUBLE PRECISION) / 1500 WHERE id = 'r-0000000001'`,
		`INSERT INTO stale_metrics VALUES ('r-0000000001')`}},
	{name: "summaries", statements: []string{`UPDATE run_metrics SET low = 3 WHERE run_id = 'r-0000000001' AND metric = 'loss'`, `DELETE FROM run_metrics WHERE run_id = 'r-0000000002' AND metric = 'loss'`},
		want: map[check.Kind]int{check.Summary: 2}, repairs: true},
	{name: "summaries that are marked stale", statements: []string{`UPDATE run_metrics SET low = 3 WHERE run_id = 'r-0000000001'`, `INSERT INTO stale_metrics VALUES ('r-0000000001')`}},
	{name: "columns of chunks", statements: []string{`UPDATE point_chunks SET nans = 3 WHERE id = 1`, `UPDATE point_chunks SET low = NULL WHERE id = 2`, `UPDATE point_chunks SET last_at = 3 WHERE id = 3`},
		want: map[check.Kind]int{check.Chunk: 3}, repairs: true},
	{name: "a chunk that is not its series'", statements: []string{`UPDATE point_chunks SET last_step = 5 + last_step WHERE id = 1`}, want: map[check.Kind]int{check.ChunkDamaged: 1}},
	{name: "data of a chunk", statements: []string{`UPDATE point_chunks SET data = (SELECT data FROM curve_blocks LIMIT 1) WHERE id = 1`}, want: map[check.Kind]int{check.ChunkDamaged: 1}},
	{name: "a block of a curve that is missing", statements: []string{`DELETE FROM curve_blocks WHERE run_id = 'r-0000000001' AND metric = 'loss' AND block = 1`},
		want: map[check.Kind]int{check.Curve: 1}, repairs: true},
	{name: "columns of the blocks of a curve", statements: []string{`DELETE FROM curve_columns WHERE run_id = 'r-0000000001' AND metric = 'loss'`,
		`UPDATE curve_columns SET data = (SELECT data FROM curve_columns WHERE run_id = 'r-0000000001' AND metric = 'tokens_per_second') WHERE run_id = 'r-0000000002' AND metric = 'loss'`,
		`UPDATE curve_columns SET data = (SELECT data FROM point_chunks LIMIT 1) WHERE run_id = 'r-0000000002' AND metric = 'tokens_per_second'`}, want: map[check.Kind]int{check.Curve: 3}, repairs: true},
	{name: "a block of another curve", statements: []string{`UPDATE curve_blocks SET data = (SELECT data FROM curve_blocks WHERE run_id = 'r-0000000001' AND metric = 'tokens_per_second' AND block = 1)
		WHERE run_id = 'r-0000000001' AND metric = 'loss' AND block = 1`}, want: map[check.Kind]int{check.Curve: 1}, repairs: true},
	{name: "data of a block of a curve", statements: []string{`UPDATE curve_blocks SET data = (SELECT data FROM point_chunks LIMIT 1) WHERE run_id = 'r-0000000001' AND metric = 'loss' AND block = 1`},
		want: map[check.Kind]int{check.Curve: 1}, repairs: true},
	{name: "a point that no curve has", statements: []string{`INSERT INTO points (series, step, value, at, exact, attempt) SELECT id, 1000000, 1, 1, 1, 1 FROM series WHERE run_id = 'r-0000000001' AND metric = 'loss' AND rank = 0`},
		want: map[check.Kind]int{check.Curve: 1}, repairs: true},
	{name: "a curve that is marked stale", statements: []string{`DELETE FROM curve_blocks WHERE run_id = 'r-0000000001' AND block = 1`, `INSERT INTO stale_curves VALUES ('r-0000000001', 0, 512, 1023)`}},
	{name: "a run that is missing", statements: []string{`DELETE FROM runs WHERE id = 'r-0000000002'`},
		want: map[check.Kind]int{check.Orphan: 13}}, // attempts, checkpoints, curve_blocks, curve_columns, events, log_blocks, run_labels, run_metrics, run_results, run_texts, series, streams, workers
	{name: "series that are missing", statements: []string{`DELETE FROM series WHERE metric = 'other' OR run_id = 'r-0000000001' AND metric = 'samples'`}, want: map[check.Kind]int{check.PointsUnknown: 1}},
	{name: "a file that is missing", files: func(t *testing.T, logs string) { must(t, os.Remove(blockOf(t, logs))) }, want: map[check.Kind]int{check.LogMissing: 1}},
	{name: "a folder in the place of a file", files: func(t *testing.T, logs string) {
		file := blockOf(t, logs)
		must(t, errors.Join(os.Remove(file), os.Mkdir(file, 0o750)))
	}, want: map[check.Kind]int{check.LogDamaged: 1}},
	{name: "a file that is cut", files: func(t *testing.T, logs string) { must(t, os.Truncate(blockOf(t, logs), 20)) }, want: map[check.Kind]int{check.LogDamaged: 1}},
	{name: "a row that says otherwise", statements: []string{`UPDATE log_blocks SET bytes = 3 WHERE run_id = 'r-0000000001'`}, want: map[check.Kind]int{check.LogDamaged: 1}},
	{name: "a name outside", statements: []string{`UPDATE log_blocks SET blob = '../../../etc/passwd' WHERE run_id = 'r-0000000001'`}, want: map[check.Kind]int{check.LogDamaged: 1, check.LogUnknown: 1}},
	{name: "files that no row names", files: func(t *testing.T, logs string) {
		must(t, os.MkdirAll(filepath.Join(logs, "r-00000000zz"), 0o700))
		for _, name := range []string{"r-00000000zz/1.zst", "r-0000000001/1.zst.tmp", "stray"} {
			must(t, os.WriteFile(filepath.Join(logs, name), []byte("x"), 0o600))
		}
	}, want: map[check.Kind]int{check.LogUnknown: 3}, harmless: true},
}

// blockOf is the file of the sealed log of r-0000000001.
func blockOf(t *testing.T, logs string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(logs, "r-0000000001", "*.zst"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	return files[0]
}

// TestDamageIsFound makes each kind of damage, and repairs what can be.
func TestDamageIsFound(t *testing.T) {
	t.Parallel()
	filled := template(t)
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := console(t, filled, open(t))
			for _, d := range damages {
				if d.lite && name != "SQLite" {
					continue
				}
				t.Run(d.name, func(t *testing.T) {
					t.Parallel()
					d.try(t, copyOf(t, whole))
				})
			}
		})
	}
}

func (d damage) try(t *testing.T, a store.Address) {
	change(t, a, d.statements...)
	logs := filepath.Join(a.Folder, "logs")
	if d.files != nil {
		d.files(t, logs)
	}
	ageFiles(t, logs)
	r := run(t, a, false)
	want, repaired := map[check.Kind][2]int{}, map[check.Kind][2]int{}
	for kind, n := range d.want {
		want[kind], repaired[kind] = [2]int{n, 0}, [2]int{n, 0}
		if d.repairs {
			repaired[kind] = [2]int{n, n}
		}
	}
	if diff := cmp.Diff(want, kinds(r)); diff != "" || r.Clean() != (len(want) == 0 || d.harmless) {
		t.Fatalf("found (-want +got): %s\n%s", diff, r)
	}
	for _, f := range r.Found {
		if f.Kind == check.Unreadable && !strings.Contains(f.Remedy, "from a backup") || f.What == "" || f.Remedy == "" || len(f.Examples) == 0 || !strings.Contains(r.String(), f.Examples[0].What) {
			t.Errorf("it says too little: %+v", f)
		}
	}
	fixed := run(t, a, true)
	if diff := cmp.Diff(repaired, kinds(fixed)); diff != "" || d.repairs && !fixed.Clean() {
		t.Fatalf("repaired (-want +got): %s\n%s", diff, fixed)
	}
	if !d.repairs {
		return
	}
	derive(t, a)
	if again := run(t, a, false); len(again.Found) > 0 {
		t.Errorf("after the repair: %s", again)
	}
}

// TestACurveStaysThatIsTheLastCopyOfItsPoints whatever else is repaired.
func TestACurveStaysThatIsTheLastCopyOfItsPoints(t *testing.T) {
	t.Parallel()
	filled := template(t)
	const chunk = `DELETE FROM point_chunks WHERE series = (SELECT id FROM series WHERE run_id = 'r-0000000001' AND metric = 'loss' AND rank = 0)`
	for name, d := range map[string]damage{
		"a series": {statements: []string{`DELETE FROM series WHERE run_id = 'r-0000000001' AND metric = 'loss' AND rank = 1`},
			want: map[check.Kind]int{check.PointsMissing: 1, check.PointsUnknown: 1}},
		"all series": {statements: []string{`DELETE FROM series WHERE run_id = 'r-0000000001' AND metric = 'loss'`},
			want: map[check.Kind]int{check.PointsMissing: 1, check.PointsUnknown: 2}},
		"a chunk": {statements: []string{chunk}, want: map[check.Kind]int{check.PointsMissing: 1}},
		"a chunk and a block of another curve": {statements: []string{chunk, `DELETE FROM curve_blocks WHERE run_id = 'r-0000000001' AND metric = 'tokens_per_second' AND block = 0`},
			want: map[check.Kind]int{check.PointsMissing: 1, check.Curve: 1}},
		"a chunk that cannot be read and a block that is missing": {statements: []string{`UPDATE point_chunks SET data = (SELECT data FROM curve_blocks LIMIT 1) WHERE series = (SELECT id FROM series WHERE run_id = 'r-0000000001' AND metric = 'loss' AND rank = 0)`,
			`DELETE FROM curve_blocks WHERE run_id = 'r-0000000001' AND metric = 'tokens_per_second' AND block = 0`}, want: map[check.Kind]int{check.ChunkDamaged: 1, check.Curve: 1}},
		"a chunk and a block that is damaged": {statements: []string{chunk, `UPDATE curve_blocks SET data = (SELECT data FROM point_chunks LIMIT 1) WHERE run_id = 'r-0000000001' AND metric = 'loss' AND block = 2`},
			want: map[check.Kind]int{check.PointsMissing: 2, check.Curve: 1}}, // of each block, as one cannot be read
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := console(t, filled, db.Options{})
			change(t, a, d.statements...)
			before := curves(t, a)
			d.try(t, a)
			derive(t, a)
			if diff := cmp.Diff(before, curves(t, a)); diff != "" {
				t.Errorf("curves (-before +after): %s", diff)
			}
			if r := run(t, a, false); r.Clean() || kinds(r)[check.PointsMissing][0] != d.want[check.PointsMissing] {
				t.Errorf("after the repair: %s", r)
			}
		})
	}
}

// curves are the stored blocks.
func curves(t *testing.T, a store.Address) map[string][]byte {
	t.Helper()
	in, err := store.Inspect(t.Context(), a, false)
	must(t, err)
	defer func() { must(t, in.Close()) }()
	out := map[string][]byte{}
	_, err = db.Select(t.Context(), in.DB, func(row db.Scanner) (none struct{}, err error) {
		var key string
		var data []byte
		err = row.Scan(&key, &data)
		out[key] = data
		return none, err
	}, `SELECT run_id || ' ' || metric || ' ' || block, data FROM curve_blocks`)
	must(t, err)
	return out
}

// TestARepairedHeadlineIsThatOfTheWorkers and not that of a step which is too low.
func TestARepairedHeadlineIsThatOfTheWorkers(t *testing.T) {
	t.Parallel()
	a := console(t, template(t), db.Options{})
	step, loss := progress(t, a)
	for _, q := range []string{`step = 3`, `step = 3, loss = 2.25`, `step = 0, loss = NULL, has_loss = 0`, `step = 1398`, `step = 5000`} {
		change(t, a, `UPDATE runs SET `+q+` WHERE id = 'r-0000000001'`)
		if r := run(t, a, true); kinds(r)[check.Headline] != [2]int{1, 1} {
			t.Errorf("%s: %s", q, r)
		}
		if gotStep, gotLoss := progress(t, a); step != 1399 || gotStep != step || gotLoss != loss {
			t.Errorf("%s became step %d with loss %g, not %d with %g", q, gotStep, gotLoss, step, loss)
		}
	}
}

func progress(t *testing.T, a store.Address) (step int64, loss float64) {
	t.Helper()
	s, err := store.OpenAt(t.Context(), a.Folder, a.Database)
	must(t, err)
	defer func() { must(t, s.Close()) }()
	r, err := s.Run(t.Context(), "r-0000000001")
	must(t, err)
	return r.Progress.Step, r.Progress.Loss
}

// TestAHeadlineOutlivesItsWorkers whose last states are stored after it.
func TestAHeadlineOutlivesItsWorkers(t *testing.T) {
	t.Parallel()
	a := console(t, template(t), db.Options{})
	s, err := store.OpenAt(t.Context(), a.Folder, a.Database)
	must(t, err)
	_, err = s.Update(t.Context(), "r-0000000001", func(u *store.Update) error {
		u.Workers[1].State = "failed" // the one that is behind
		return nil
	})
	must(t, errors.Join(err, s.Close()))
	if r := run(t, a, false); len(r.Found) > 0 {
		t.Error(r)
	}
}

// derive starts a console for as long as it takes to derive curves again.
func derive(t *testing.T, a store.Address) {
	t.Helper()
	s, err := store.OpenAt(t.Context(), a.Folder, a.Database)
	must(t, err)
	defer func() { must(t, s.Close()) }()
	stale, err := s.StaleCurves(t.Context())
	must(t, err)
	for _, id := range stale {
		for more := true; more; {
			part, _, err := s.RollUp(t.Context(), id)
			must(t, err)
			more = part.More
		}
	}
	must(t, storetest.Summarize(t.Context(), s))
}

// ageFiles makes files older than those whose row may be about to be written.
func ageFiles(t *testing.T, logs string) {
	t.Helper()
	must(t, filepath.WalkDir(logs, func(path string, _ os.DirEntry, err error) error {
		old := time.Now().Add(-time.Hour)
		return errors.Join(err, os.Chtimes(path, old, old))
	}))
}

// TestAConsoleIsCheckedWhileItWorks writes all the time.
func TestAConsoleIsCheckedWhileItWorks(t *testing.T) {
	t.Parallel()
	filled := template(t)
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := console(t, filled, open(t))
			s, err := store.OpenAt(t.Context(), a.Folder, a.Database)
			must(t, err)
			defer func() { must(t, s.Close()) }()
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- work(ctx, s) }() // awaited below
			for range 5 {
				if r := run(t, a, false); len(r.Found) > 0 {
					t.Errorf("of a console that works: %s", r)
				}
			}
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if _, err := store.Inspect(t.Context(), a, true); !errors.Is(err, fault.ErrInUse) {
				t.Errorf("a repair beside it: %v", err)
			}
		})
	}
}

// work makes and deletes runs with all that they have.
func work(ctx context.Context, s *store.Store) error {
	for n := 100; ; n++ {
		if err := storetest.FillRun(ctx, s, n); err != nil {
			return err
		}
		if _, err := s.SealPoints(ctx); err != nil {
			return err
		}
		if n%2 == 0 {
			if err := s.DeleteRun(ctx, storetest.RunID(n)); err != nil {
				return err
			}
		}
	}
}

// TestManyFindingsAreCounted keeps a report short.
func TestManyFindingsAreCounted(t *testing.T) {
	t.Parallel()
	a := console(t, template(t), db.Options{})
	change(t, a, `WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3000) INSERT INTO attempts (run_id, number, parent_job, job_id, maybe_sent, created_at, ended_at, resume, recalled)
		SELECT printf('r-x%07d', n), 1, '', '', 0, 0, 0, '', 0 FROM n`)
	r := run(t, a, false)
	if len(r.Found) != 1 || r.Found[0].Count != 3000 || len(r.Found[0].Examples) != 10 || !strings.Contains(r.String(), "and 2990 more") {
		t.Errorf("%s", r)
	}
}

func TestTheAuditLogIsVerified(t *testing.T) {
	t.Parallel()
	a := console(t, template(t), db.Options{})
	change(t, a, `INSERT INTO audit (seq, at, logged, user_id, name, token, session, address, agent, request, action, project, subject, outcome, reason, before_value, after_value, hash)
		VALUES (1, 0, 0, '', 'eve', '', '', '', '', '', 'runs.stop', '', '', 'done', '', '', '', zeroblob(32))`)
	r := run(t, a, false)
	if len(r.Found) != 1 || r.Found[0].Kind != check.AuditChain || r.Found[0].Count != 2 || !strings.Contains(r.String(), "Entry 1 was changed.") {
		t.Errorf("%s", r)
	}
}

// TestADamagedFileIsFound writes into the middle half of SQLite's file.
func TestADamagedFileIsFound(t *testing.T) {
	t.Parallel()
	a := console(t, template(t), db.Options{})
	f, err := os.OpenFile(filepath.Join(a.Folder, "cotrain.db"), os.O_RDWR, 0)
	must(t, err)
	info, err := f.Stat()
	must(t, err)
	for at := info.Size() / 4; at < info.Size()*3/4; at += 64 {
		_, err = f.WriteAt([]byte("damage"), at)
		must(t, err)
	}
	must(t, f.Close())
	in, err := store.Inspect(t.Context(), a, false)
	if err == nil {
		defer func() { must(t, in.Close()) }()
		var r *check.Report
		if r, err = check.Run(t.Context(), in, false); err == nil && kinds(r)[check.DatabaseDamaged][0] == 0 {
			t.Errorf("nothing: %s", r)
			return
		}
	}
	if err != nil && !errors.Is(err, fault.ErrDamaged) {
		t.Error(fmt.Errorf("it says %w", err))
	}
}

// TestEveryTableOfARunIsLookedAt fails when a new one is forgotten.
func TestEveryTableOfARunIsLookedAt(t *testing.T) {
	t.Parallel()
	in, err := store.Inspect(t.Context(), console(t, template(t), db.Options{}), false)
	must(t, err)
	defer func() { must(t, in.Close()) }()
	tables, err := in.DB.Tables(t.Context())
	must(t, err)
	var have []string
	for _, table := range tables {
		if slices.ContainsFunc(table.Columns, func(c db.TableColumn) bool { return c.Name == "run_id" }) {
			have = append(have, table.Name)
		}
	}
	want := append(check.RunTables(), "orders", "run_changes") // which outlive their run
	slices.Sort(have)
	slices.Sort(want)
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("tables with run_id (-looked at +there): %s", diff)
	}
}
