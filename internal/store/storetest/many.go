package storetest

import (
	"database/sql"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

// Filled is what [Many] has stored.
type Filled struct {
	Live           run.ID      // of which the others are copies
	Oldest, Middle run.ID      // as many runs are older than the middle as are newer
	Ended, Waiting run.SweepID // all of whose runs have ended, or are queued
}

// Texts in names.
const (
	RareText     = "needle"   // ten in a million have it
	FrequentText = "llama-7b" // every second
	OldText      = "archive"  // each of the older half
	NoText       = "haystack" // none
)

const (
	liveRuns     = 300
	samplePoints = 4000 // enough for a chunk
)

// Many stores n runs, at least 10 000, faster than the store could: copies of one, which has all that a run can have. One in a
// hundred is queued, in a few shapes, 300 are live, the others have ended; one in four is in a sweep of 500. There are ten projects. Every tenth has
// rows in the other tables. conn is the store's database.
func Many(t testing.TB, s Store, conn *sql.DB, n int) Filled {
	t.Helper()
	f := Filled{Oldest: numberedID(0), Middle: numberedID(n / 2), Live: numberedID(n), Ended: numberedSweep(0), Waiting: numberedSweep((n - 1) / 2000 * 4)}
	storeSample(t, s, f.Live)
	c := copier{t: t, conn: conn, sample: f.Live, runs: n}
	c.exec(fmt.Sprintf(`INSERT INTO sweeps (id, name, spec, fields, parallel, stopped, created_at, actor)
		%s SELECT %s, 'rates', '{}', '[]', 4, 0, i, 'test' FROM n WHERE i %% 500 = 0`, c.numbers(), sweepOfNumber))
	queued := n - n/100
	name := fmt.Sprintf(`(CASE WHEN i %% 100000 = 7777 THEN '%s-' WHEN i %% 2 = 0 THEN '%s-' ELSE 'mistral-8x7b-' END || (i %% 1000) || CASE WHEN i < %d THEN '-%s' ELSE '' END)`, RareText, FrequentText, n/2, OldText)
	c.copy("runs", "id", "", map[string]string{
		"name": name, "created_at": "i", "submit_key": "'default/key ' || i", "project": projectOfNumber(n), "sweep": `CASE WHEN i % 2000 < 500 THEN ` + sweepOfNumber + ` ELSE '' END`,
		"state": fmt.Sprintf(`CASE WHEN i >= %d THEN 'queued' WHEN i >= %d THEN CASE i %% 10 WHEN 0 THEN 'dispatching' WHEN 1 THEN 'pending' WHEN 2 THEN 'degraded' WHEN 3 THEN 'stopping' ELSE 'running' END
			WHEN i %% 10 < 7 THEN 'succeeded' WHEN i %% 10 < 9 THEN 'failed' ELSE 'stopped' END`, queued, queued-liveRuns),
		"not_before": fmt.Sprintf(`CASE WHEN i >= %d AND i %% 10 > 6 THEN i ELSE 0 END`, queued),
		"started_at": "i", "max_seconds": "i % 2 * 3600", "ended_at": fmt.Sprintf(`CASE WHEN i < %d THEN 5000 + i * 7919 %% 1000 ELSE 0 END`, queued-liveRuns), "archived": fmt.Sprintf(`CASE WHEN i %% 7 = 0 AND i < %d THEN 1 ELSE 0 END`, queued-liveRuns),
		"owner": `CASE WHEN i % 2 = 0 THEN 'ann' ELSE 'user-' || (i % 40) END`, "preset": `CASE WHEN i % 3 = 0 THEN '7b' ELSE 'debug-' || (i % 8) END`, "step": "i * 104729 % 5000",
		"priority": "1 + i % 100", "reason": "'reason ' || (i % 3)", "loss": "2 + (i * 7919) % 1000 / 500.0",
		"shape": `CASE i % 3 WHEN 0 THEN '{"nodes":1}' WHEN 1 THEN '{"nodes":2}' ELSE t.shape END`,
	})
	c.copy("run_texts", "id", "", map[string]string{"number": numberOfNumber, "text": `replace('  ' || ` + name + `, '-', '  -  ') || '
  r  -  ' || substr(` + idOfNumber + `, 3)`})
	const tenth = "i % 10 = 3"
	live := fmt.Sprint("i >= ", queued-liveRuns, " AND ", tenth)
	for _, l := range [][3]string{{"tag", "'" + FrequentTag + "'", "i % 2 = 1"}, {"tag", "'tag-' || (i % 1000)", "i % 3 = 0"}, {"node", "'node-' || (i % 200)", ""}, {"node", "'" + FrequentNode + "'", "i % 5 < 2"}} {
		c.labels(l[0], l[1], l[2])
	}
	c.results()
	c.copy("attempts", "run_id", tenth, map[string]string{"job_id": "'job ' || i", "maybe_sent": "CASE WHEN i % 100000 = 93 THEN 1 ELSE 0 END"})
	c.copy("workers", "run_id", tenth, map[string]string{"alloc_id": "t.alloc_id || i"})
	c.copy("streams", "run_id", tenth, map[string]string{"alloc_id": "t.alloc_id || i"})
	c.copy("events", "run_id", tenth, map[string]string{"seq": ""})
	c.copy("log_chunks", "run_id", live, map[string]string{"id": ""})
	c.copy("log_blocks", "run_id", tenth, map[string]string{"blob": "'block ' || i"})
	c.copy("checkpoints", "run_id", tenth, nil)
	c.copy("repeats", "run_id", tenth, nil)
	c.copy("series", "run_id", tenth, map[string]string{"id": ""})
	c.exec(`INSERT INTO run_metrics (run_id, metric, points, workers, first_step, last_step, low_step, high_step) SELECT DISTINCT run_id, metric, 4000, 1, 0, 3999, 0, 6 FROM series`)
	c.copy("curve_blocks", "run_id", "i % 100 = 3", nil)
	c.copy("curve_columns", "run_id", "i % 10 = 3", nil)
	c.copy("stale_curves", "run_id", live, nil)
	c.copyPoints()
	return f
}

// projectOfNumber is one of ten projects, of which each has about a tenth of the runs but two: default has the sweeps, too, and
// [TinyProject] has ten runs, from the oldest to the newest.
func projectOfNumber(n int) string {
	return fmt.Sprintf(`CASE WHEN i %% %d = 701 THEN '%s' WHEN i %% 2000 < 500 OR i %% 9 = 0 THEN 'default' ELSE 'p' || (i %% 9) END`, n/10, TinyProject)
}

// TinyProject has few runs among many; [SomeProject] has one in twelve.
const (
	TinyProject = "tiny"
	SomeProject = "p1"
)

// FrequentTag is of every second run, [FrequentNode] of two in five; there are others of few.
const (
	FrequentTag  = "wide"
	FrequentNode = "gpu-1"
)

// labels gives runs a label, whose value may be of i.
func (c copier) labels(kind, label, where string) {
	c.t.Helper()
	if where != "" {
		where = ` WHERE ` + where
	}
	c.exec(fmt.Sprintf(`INSERT INTO run_labels (kind, label, run_id) %s SELECT '%s', %s, %s FROM n%s`, c.numbers(), kind, label, idOfNumber, where))
}

// results gives ended runs what they are sorted by.
func (c copier) results() {
	c.t.Helper()
	for metric, value := range map[string]string{" step": "step", " loss": "loss", " throughput": "1000 + step", " duration": "ended_at / 1000.0", " ended": "ended_at / 1000.0"} {
		c.exec(fmt.Sprintf(`INSERT INTO run_results (run_id, metric, last) SELECT id, '%s', %s FROM runs WHERE ended_at > 0`, metric, value))
	}
	for _, metric := range []string{"loss", "eval/loss"} {
		c.exec(fmt.Sprintf(`INSERT INTO run_results (run_id, metric, last, low, high) SELECT id, '%s', loss, loss / 2, loss * 2 FROM runs WHERE ended_at > 0`, metric))
	}
}

// sampleConfig is about as long as a configuration is.
var sampleConfig = strings.Repeat("[optim.optim]\nlr = 0.0004 # as in the paper\n", 25)

// storeSample stores a run that trains, with some of everything.
func storeSample(t testing.TB, s Store, id run.ID) {
	t.Helper()
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	r := newRun(string(id), "sample")
	r.Config = sampleConfig
	_, _, err := s.CreateRun(t.Context(), r, "", run.Event{RunID: id, At: epoch, Kind: "state", Actor: "test", To: run.Queued, Rank: -1})
	fail(err)
	_, err = s.Update(t.Context(), id, func(u *store.Update) error {
		u.Run.State, u.Run.Attempt, u.Run.StartedAt = run.Running, 1, epoch
		u.Attempt = run.Attempt{RunID: id, Number: 1, ParentJob: "p", JobID: "p/dispatch-1", CreatedAt: epoch}
		u.Workers = []run.Worker{{AllocID: string(id) + "-a0", RunID: id, Attempt: 1, State: run.WorkerRunning, StartedAt: epoch}}
		return nil
	})
	fail(err)
	fail(s.SaveProgress(t.Context(), id, run.Progress{Step: 1, Loss: 2, HasLoss: true, UpdatedAt: epoch}))
	log := func(attempt int, from store.Cursor, points ...points.Point) store.Cursor {
		b := batch(id, 0, from, strings.Repeat("step 1 loss 2.5 lr 0.0004\n", 10), points...)
		b.Events = []run.Event{{RunID: id, At: epoch, Kind: "sync", Rank: 0}}
		b.Attempt = attempt
		b.Checkpoints = []store.Checkpoint{{Step: from.Offset + 1, Path: "c"}}
		fail(s.Commit(t.Context(), []*store.Batch{b}))
		return b.To
	}
	var many []points.Point
	for step := range int64(samplePoints) {
		for _, metric := range points.CurveMetrics() {
			many = append(many, points.Point{Metric: metric, Step: step, Value: float64(step % 7), Exact: true})
		}
	}
	to := log(1, store.Cursor{}, many...)
	_, _, err = s.RollUp(t.Context(), id)
	for more := true; more && err == nil; {
		more, err = s.SealPoints(t.Context())
	}
	fail(err)
	fail(s.Seal(t.Context(), id, 1))
	log(2, to, points.Point{Metric: "loss", Step: samplePoints, Value: 1}) // which makes a row of repeats
}

// What run i is called, in SQL: a number for each minute, from it the ID, and the ID of the sweep that it could be in.
const (
	numberOfNumber = `(i * 61440000)`
	sweepOfNumber  = `('s-' || substr('0000000000' || (i / 500), 1 + CAST(length('' || (i / 500)) AS INTEGER)))`
	digits         = "0123456789abcdefghijklmnopqrstuv"
)

var idOfNumber = func() string {
	s := `('r-'`
	for shift := 45; shift >= 0; shift -= 5 {
		s += fmt.Sprintf(` || substr('%s', CAST(1 + ((%s >> %d) & 31) AS INTEGER), 1)`, digits, numberOfNumber, shift)
	}
	return s + `)`
}()

func numberedID(i int) run.ID {
	b := binary.BigEndian.AppendUint64(nil, uint64(i)*61440000<<14)
	return run.ID("r-" + base32.NewEncoding(digits).WithPadding(base32.NoPadding).EncodeToString(b)[:10])
}

func numberedSweep(i int) run.SweepID { return run.SweepID(fmt.Sprintf("s-%010d", i)) }

// copier copies the rows of the sample.
type copier struct {
	t      testing.TB
	conn   *sql.DB
	sample run.ID
	runs   int
}

func (c copier) exec(query string) {
	c.t.Helper()
	if _, err := c.conn.ExecContext(c.t.Context(), query); err != nil {
		c.t.Fatalf("%v: %s", err, query)
	}
}

// numbers is a number i for each run, the newest last.
func (c copier) numbers() string {
	return fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < %d)`, c.runs)
}

// copy gives those runs where (all without) the sample's rows of a table, with other values, or defaults for "", in some
// columns; run is the column with the run's ID.
func (c copier) copy(table, run, where string, with map[string]string) {
	c.t.Helper()
	with = maps.Clone(with)
	if with == nil {
		with = map[string]string{}
	}
	with[run] = idOfNumber
	var into, from []string
	for _, name := range c.columns(table) {
		value, ok := with[name]
		switch {
		case !ok:
			value = "t." + name
		case value == "":
			continue
		}
		into, from = append(into, name), append(from, value)
	}
	if where != "" {
		where = " AND " + where
	}
	c.exec(fmt.Sprintf(`INSERT INTO %[1]s (%[2]s) %[3]s SELECT %[4]s FROM n CROSS JOIN %[1]s t WHERE t.%[5]s = '%[6]s'%[7]s`,
		table, strings.Join(into, ", "), c.numbers(), strings.Join(from, ", "), run, c.sample, where))
}

// copyPoints gives each series a chunk, and the newest rows.
func (c copier) copyPoints() {
	c.t.Helper()
	columns := slices.DeleteFunc(c.columns("point_chunks"), func(name string) bool { return name == "id" || name == "series" })
	list := strings.Join(columns, ", ")
	c.exec(fmt.Sprintf(`INSERT INTO point_chunks (series, %[1]s) SELECT s.id, %[1]s FROM (SELECT id FROM series WHERE run_id <> '%[2]s') AS s CROSS JOIN (SELECT %[1]s FROM point_chunks LIMIT 1) AS t`, list, c.sample))
	c.exec(fmt.Sprintf(`INSERT INTO points (series, step, value, at, exact, attempt) SELECT s.id, step, value, at, exact, attempt
		FROM (SELECT id FROM series WHERE run_id <> '%s' ORDER BY id DESC LIMIT %d) AS s CROSS JOIN (SELECT * FROM points ORDER BY series, step LIMIT 20) AS t`, c.sample, 2*liveRuns))
}

func (c copier) columns(table string) []string {
	c.t.Helper()
	rows, err := c.conn.QueryContext(c.t.Context(), `SELECT * FROM `+table+` LIMIT 0`)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }() // empty
	names, err := rows.Columns()
	if err != nil || rows.Err() != nil {
		c.t.Fatal(err, rows.Err())
	}
	return names
}
