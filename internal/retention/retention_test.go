package retention_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/retention"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
)

const day = 24 * time.Hour

var epoch = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type rig struct {
	*store.Store
	t      *testing.T
	dir    string
	url    string
	now    time.Time
	limits []run.LogLimit
	told   []run.ID
	keeps  *retention.Retention
}

func (r *rig) PublishRun(now run.Run, _ ...run.Event) { r.told = append(r.told, now.ID) }

// each runs a test on both databases.
func each(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Parallel()
	for name, url := range map[string]func(testing.TB) string{"SQLite": func(testing.TB) string { return "" }, "PostgreSQL": pgtest.URL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, at := t.TempDir(), url(t)
			s, err := store.OpenAt(t.Context(), dir, db.Options{URL: at})
			must(t, err)
			t.Cleanup(func() { must(t, s.Close()) })
			r := &rig{Store: s, t: t, dir: dir, url: at, now: epoch}
			r.keeps = retention.New(retention.Options{Store: s, Limits: func() []run.LogLimit { return r.limits }, Publisher: r, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return r.now }})
			test(t, r)
		})
	}
}

// add makes a run with a sealed log, which ended at a time, or lives.
func (r *rig) add(id run.ID, project string, ended time.Time) {
	r.t.Helper()
	_, _, err := r.CreateRun(r.t.Context(), run.Run{ID: id, Project: project, State: run.Queued}, "", run.Event{RunID: id})
	must(r.t, err)
	r.log(id, "line of "+string(id))
	if !ended.IsZero() {
		_, err = r.Update(r.t.Context(), id, func(u *store.Update) error { return u.Move(run.Stopped, "ann", "", ended) })
		must(r.t, err)
	}
}

// log seals a line that cannot be compressed to less than others.
func (r *rig) log(id run.ID, line string) {
	r.t.Helper()
	must(r.t, errors.Join(r.Commit(r.t.Context(), []*store.Batch{{RunID: id, AllocID: string(id) + line, Stream: "stdout", Log: []byte(line + "\n"), To: store.Cursor{File: "f", Offset: 1}}}),
		r.Seal(r.t.Context(), id, 1)))
}

// after goes on by a time, and deletes what is due then.
func (r *rig) after(d time.Duration) {
	r.t.Helper()
	r.now = r.now.Add(d)
	must(r.t, r.keeps.Once(r.t.Context()))
}

func (r *rig) has(when string, want ...run.ID) {
	r.t.Helper()
	var have []run.ID
	for _, id := range []run.ID{"r-0000000001", "r-0000000002", "r-0000000003", "r-0000000004", "r-0000000005"} {
		lines, err := r.Logs(r.t.Context(), id, run.LogQuery{Rank: -1, Limit: 10})
		must(r.t, err)
		if len(lines) > 0 {
			have = append(have, id)
		}
	}
	if !slices.Equal(have, want) {
		r.t.Errorf("%s: logs of %v, not of %v", when, have, want)
	}
}

func (r *rig) texts(id run.ID) string {
	r.t.Helper()
	f, err := r.LogFate(r.t.Context(), id)
	must(r.t, err)
	return strings.Join(f.Texts(), " ")
}

func (r *rig) project(name string) {
	r.t.Helper()
	change, _ := audit.Begin(r.t.Context(), audit.Entry{Action: "projects.manage"})
	must(r.t, r.CreateProject(change, access.Project{Name: name}))
}

func TestOldLogsOfEndedRunsAreDeleted(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.project("vision")
		r.add("r-0000000001", "default", epoch.Add(-80*day))
		r.add("r-0000000002", "vision", epoch.Add(-20*day))
		r.add("r-0000000003", "default", epoch.Add(-20*day))
		r.add("r-0000000004", "vision", time.Time{})
		r.after(0)
		if got := r.texts("r-0000000001"); got != "" {
			t.Errorf("without limits: %q", got)
		}
		r.limits = []run.LogLimit{{Age: 60 * day}, {Project: "vision", Age: 10 * day}}
		r.after(0)
		r.has("as soon as limits are set", "r-0000000001", "r-0000000002", "r-0000000003", "r-0000000004")
		for id, want := range map[run.ID]string{
			"r-0000000001": "Its log is deleted on 2026-09-02 by the retention of 60 days.",
			"r-0000000002": "Its log is deleted on 2026-09-02 by the retention of 10 days of its project.",
			"r-0000000003": "Its log is deleted on 2026-10-11 by the retention of 60 days.",
			"r-0000000004": "",
		} {
			if got := r.texts(id); got != want {
				t.Errorf("%s: %q, not %q", id, got, want)
			}
		}
		r.after(day - time.Minute)
		r.has("before a day is over", "r-0000000001", "r-0000000002", "r-0000000003", "r-0000000004")
		r.after(time.Minute)
		r.has("a day later", "r-0000000003", "r-0000000004")
		if got := r.texts("r-0000000002"); got != "Its log was deleted on 2026-09-02 by the retention of 10 days of its project." {
			t.Errorf("afterwards: %q", got)
		}
		r.firstTwoTold(t)
		r.after(39 * day)
		r.has("a day before its time", "r-0000000003", "r-0000000004")
		r.after(day)
		r.has("at its time", "r-0000000004")
		usage, err := r.LogUsage(t.Context())
		must(t, err)
		if all := usage[len(usage)-1]; all.Bytes == 0 || all.Bytes != usage[len(usage)-2].Bytes || all.Retention != int64(60*day/time.Second) {
			t.Errorf("usage %+v", usage)
		}
	})
}

// firstTwoTold checks event and entry of the first two deletions.
func (r *rig) firstTwoTold(t *testing.T) {
	t.Helper()
	slices.Sort(r.told)
	if !slices.Equal(r.told, []run.ID{"r-0000000001", "r-0000000002"}) {
		t.Errorf("viewers are told of %v", r.told)
	}
	evs, err := r.Events(t.Context(), "r-0000000002", 0, 10)
	must(t, err)
	if last := evs[len(evs)-1]; last.Kind != "log" || last.Actor != "cotrain" || !strings.HasSuffix(last.Message, "deleted by the retention of 10 days of its project") {
		t.Errorf("event %+v", last)
	}
	page, err := r.Audit.Search(t.Context(), audit.Filter{AllProjects: true, Action: retention.Action, Limit: 10})
	must(t, err)
	if len(page.Rows) != 2 || page.Rows[0].Actor.Name != "cotrain" || !strings.HasPrefix(page.Rows[0].Subject, "run:r-000000000") || !strings.Contains(string(page.Rows[0].After), "retention_seconds") {
		t.Errorf("audit log %+v", page.Rows)
	}
}

func TestTheOldestLogsAreDeletedWhereAllAreTooLarge(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		for i, ended := range []time.Time{epoch.Add(-1 * day), epoch.Add(-3 * day), epoch.Add(-2 * day), {}} {
			r.add(run.ID(fmt.Sprintf("r-000000000%d", i+1)), "default", ended)
		}
		usage, err := r.LogUsage(t.Context())
		must(t, err)
		all := usage[len(usage)-1].Bytes
		one := all / 4 // they are as large as each other
		r.limits = []run.LogLimit{{Bytes: all + one/10}}
		r.after(0)
		if got := r.texts("r-0000000002"); !strings.HasPrefix(got, "Its log is deleted once all logs grow by ") {
			t.Errorf("the next to go: %q", got)
		}
		if got := r.texts("r-0000000001"); got != "" {
			t.Errorf("one that stays: %q", got)
		}
		r.add("r-0000000005", "default", epoch)
		r.after(day - time.Minute)
		r.has("too large for less than a day", "r-0000000001", "r-0000000002", "r-0000000003", "r-0000000004", "r-0000000005")
		r.after(time.Minute)
		r.has("a day later", "r-0000000001", "r-0000000003", "r-0000000004", "r-0000000005")
		if got := r.texts("r-0000000002"); !strings.HasPrefix(got, "Its log was deleted on 2026-09-02 by the limit of ") {
			t.Errorf("afterwards: %q", got)
		}
		r.limits = []run.LogLimit{{Bytes: 1}}
		r.after(0)
		r.after(day)
		r.has("with next to no room", "r-0000000004") // which lives
		if left, err := filepath.Glob(filepath.Join(r.dir, "logs", "*", "*")); err != nil || len(left) != 1 {
			t.Errorf("in the archive are %q, %v", left, err)
		}
	})
}

// TestALogThatGrowsAgainIsWhole is about a run that is tried again after its log was deleted.
func TestALogThatGrowsAgainIsWhole(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.add("r-0000000001", "default", epoch.Add(-9*day))
		r.limits = []run.LogLimit{{Age: 2 * day}}
		r.after(0)
		r.after(day)
		r.has("at its time")
		r.log("r-0000000001", "another line")
		must(t, r.TidyLogs(t.Context()))
		r.has("with another attempt", "r-0000000001")
		if f, err := r.LogFate(t.Context(), "r-0000000001"); err != nil || f.Deleted == nil || f.Bytes == 0 {
			t.Errorf("%+v, %v", f, err)
		}
		must(t, r.DeleteRun(t.Context(), "r-0000000001"))
		usage, err := r.LogUsage(t.Context())
		must(t, err)
		for _, u := range usage {
			if u.Bytes != 0 {
				t.Errorf("without any log: %+v", usage)
			}
		}
	})
}

// TestLogsOfBeforeAreMeasured has blocks whose size is not known, of one of which the file is gone.
func TestLogsOfBeforeAreMeasured(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.add("r-0000000001", "default", epoch.Add(-9*day))
		r.add("r-0000000002", "default", epoch.Add(-8*day))
		before, err := r.LogUsage(t.Context())
		must(t, err)
		r.exec(`UPDATE log_blocks SET size = 0`, `UPDATE runs SET log_bytes = 0`, `DELETE FROM log_usage`)
		files, err := filepath.Glob(filepath.Join(r.dir, "logs", "r-0000000002", "*"))
		must(t, err)
		must(t, os.Remove(files[0]))
		r.limits = []run.LogLimit{{Age: 2 * day}}
		r.after(0)
		after, err := r.LogUsage(t.Context())
		must(t, err)
		if got, all := after[0].Bytes, before[0].Bytes; got <= all/3 || got > all*2/3 {
			t.Errorf("%d bytes, of %d of which half are gone", got, all)
		}
		r.after(day)
		r.has("at their time")
	})
}

// exec executes statements beside the store.
func (r *rig) exec(statements ...string) {
	r.t.Helper()
	d, err := store.OpenBeside(r.t.Context(), store.Address{Folder: r.dir, Database: db.Options{URL: r.url}})
	must(r.t, err)
	for _, q := range statements {
		_, err := d.Exec(r.t.Context(), q)
		must(r.t, err)
	}
	must(r.t, d.Close())
}
