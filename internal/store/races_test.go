package store_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

func TestARunIsClaimedOnce(t *testing.T) {
	r := begin(t)
	release := r.hold(lockRun)
	var claimed atomic.Int64
	var calls []*call
	for range 8 {
		calls = append(calls, start(func() error {
			_, err := r.Update(context.Background(), raced, func(u *store.Update) error {
				if u.Run.State != run.Queued {
					return run.ErrNotQueued
				}
				return u.Move(run.Dispatching, run.Console, "", time.Now())
			})
			if err == nil {
				claimed.Add(1)
			}
			return err
		}))
	}
	r.waiting(8)
	release()
	for _, err := range r.errors(calls...) {
		if err != nil && !errors.Is(err, run.ErrNotQueued) {
			t.Error(err)
		}
	}
	if n := claimed.Load(); n != 1 {
		t.Errorf("claimed by %d", n)
	}
}

func TestACursorMovesOnce(t *testing.T) {
	r := begin(t)
	var from store.Cursor
	for _, text := range []string{"first", "second"} { // a stream's first row, and its change
		release := r.hold(lockRun)
		var calls []*call
		for range 4 {
			calls = append(calls, r.commit(lines(0, from, text, losses(from.Offset, from.Offset)...)))
		}
		r.waiting(4)
		release()
		stored := 0
		for _, err := range r.errors(calls...) {
			switch {
			case err == nil:
				stored++
			case !errors.Is(err, fault.ErrConflict):
				t.Error(err)
			}
		}
		if stored != 1 {
			t.Errorf("%s is stored %d times", text, stored)
		}
		from = store.Cursor{File: "f", Offset: from.Offset + int64(len(text)) + 1}
	}
	if all, _ := r.texts(0); strings.Join(all, " ") != "first second" {
		t.Errorf("lines %q", all)
	}
}

// fresh is a run or sweep that another session has stored with a key, and not committed.
func fresh(table, id string) string {
	return fmt.Sprintf(`INSERT INTO %[1]s SELECT (jsonb_populate_record(x, '{"id": "%[2]s", "submit_key": "default/k"}')).* FROM %[1]s x LIMIT 1`, table, id)
}

func TestAKeyThatManyUseAtOnceMakesOneRunAndOneSweep(t *testing.T) {
	r := begin(t)
	if _, _, err := r.CreateSweep(t.Context(), run.Sweep{ID: "s-0000000001"}, "", nil, nil); err != nil {
		t.Fatal(err)
	}
	release := r.hold(fresh("runs", "r-000000000z"), fresh("sweeps", "s-000000000z"))
	const n = 10
	var created, sweeps atomic.Int64
	var calls []*call
	for i := range n {
		calls = append(calls, start(func() error {
			_, is, err := r.CreateRun(context.Background(), newRun(run.ID(fmt.Sprintf("r-00000000a%d", i))), "k", run.Event{})
			if is {
				created.Add(1)
			}
			return err
		}), start(func() error {
			id := run.ID(fmt.Sprintf("r-00000000b%d", i))
			of := newRun(id)
			of.Origin.Sweep = run.SweepID(fmt.Sprintf("s-00000000b%d", i))
			sw, is, err := r.CreateSweep(context.Background(), run.Sweep{ID: of.Origin.Sweep, Project: "default"}, "k", []run.Run{of}, []run.Event{{RunID: id}})
			if is {
				sweeps.Add(1)
			}
			if err == nil && sw.Counts[run.Queued] != 1 {
				err = fmt.Errorf("sweep %s has %v", sw.ID, sw.Counts)
			}
			return err
		}))
	}
	r.waiting(2 * n)
	release()
	r.end(calls...)
	if created.Load() != 1 || sweeps.Load() != 1 {
		t.Errorf("%d runs and %d sweeps", created.Load(), sweeps.Load())
	}
	if n := r.ask(`SELECT count(*) FROM runs`); n != 3 {
		t.Errorf("%d runs are stored, with the first and that of the sweep", n)
	}
}

func (r *race) save(config string, follows int) *call {
	return start(func() error {
		_, err := r.SaveTemplate(context.Background(), run.Template{Project: "default", Name: "t", Config: config}, follows)
		return err
	})
}

func TestTemplatesSavedAtOnceHaveAVersionEach(t *testing.T) {
	r := begin(t)
	saved := 0
	all := func(follows int) (calls []*call) {
		for range 8 {
			saved++
			calls = append(calls, r.save(fmt.Sprint(saved), follows))
		}
		r.waiting(8)
		return calls
	}
	release := r.hold(`INSERT INTO templates VALUES ('default', 't', 1, 't', '', '', '{}', '{}', '', '', 0)`) // until then there is nothing to lock
	calls := all(run.AnyVersion)
	release()
	r.end(calls...)
	release = r.hold(`SELECT 1 FROM templates WHERE version = 1 FOR UPDATE`)
	calls = all(run.AnyVersion)
	release()
	r.end(calls...)
	release = r.hold(`SELECT 1 FROM templates WHERE version = 1 FOR UPDATE`)
	calls = all(16)
	release()
	saved = 0
	for _, err := range r.errors(calls...) {
		var old *run.OutdatedError
		switch {
		case err == nil:
			saved++
		case !errors.As(err, &old):
			t.Error(err)
		}
	}
	versions, err := r.TemplateVersions(t.Context(), "default", "t")
	if err != nil || len(versions) != 17 || versions[0].Version != 17 || saved != 1 {
		t.Errorf("%d versions, of those that follow 16 %d saved: %v", len(versions), saved, err)
	}
}

func TestATemplateIsDeletedWhole(t *testing.T) {
	r := begin(t)
	r.end(r.save("1", 0))
	release := r.hold(`SELECT 1 FROM templates WHERE version = 1 FOR UPDATE`)
	saving := r.save("2", run.AnyVersion)
	r.waiting(1)
	deleting := start(func() error { return r.DeleteTemplate(context.Background(), "default", "t") })
	r.waiting(2)
	release()
	r.end(saving, deleting)
	if n := r.ask(`SELECT count(*) FROM templates`); n != 0 {
		t.Errorf("%d versions are left", n)
	}
}

func TestASweepIsStoppedThoughItsRunsEndMeanwhile(t *testing.T) {
	r := begin(t)
	var runs []run.Run
	var evs []run.Event
	for _, id := range []run.ID{"r-0000000011", "r-0000000012", "r-0000000013", "r-0000000014"} {
		of := newRun(id)
		of.Origin.Sweep = "s-0000000001"
		runs, evs = append(runs, of), append(evs, run.Event{RunID: id})
	}
	if _, _, err := r.CreateSweep(t.Context(), run.Sweep{ID: "s-0000000001"}, "", runs, evs); err != nil {
		t.Fatal(err)
	}
	release := r.hold(`SELECT 1 FROM runs WHERE id = 'r-0000000011' FOR UPDATE`)
	stop := func(u *store.Update) error { return u.Stop("me", run.StopByPerson, time.Now()) }
	stopping := start(func() error {
		us, err := r.StopSweep(context.Background(), "s-0000000001", stop)
		if err == nil && len(us) != 2 {
			err = fmt.Errorf("%d runs were stopped, want 2", len(us))
		}
		return err
	})
	r.waiting(1)
	if _, err := r.Update(t.Context(), "r-0000000012", stop); err != nil { // ends it: it was queued
		t.Error(err)
	}
	if err := r.DeleteRun(t.Context(), "r-0000000013"); err != nil {
		t.Error(err)
	}
	release()
	r.end(stopping)
}

// TestADeadlockIsRepeated has another session lock two runs of a sweep in the other order.
func TestADeadlockIsRepeated(t *testing.T) {
	r := begin(t)
	of, second := newRun("r-0000000011"), newRun("r-0000000012")
	of.Origin.Sweep, second.Origin.Sweep = "s-0000000001", "s-0000000001"
	if _, _, err := r.CreateSweep(t.Context(), run.Sweep{ID: "s-0000000001"}, "", []run.Run{of, second}, []run.Event{{RunID: of.ID}, {RunID: second.ID}}); err != nil {
		t.Fatal(err)
	}
	for what, do := range map[string]func(ctx context.Context) error{
		"StopSweep": func(ctx context.Context) error {
			_, err := r.StopSweep(ctx, "s-0000000001", func(*store.Update) error { return nil })
			return err
		},
		"SetWaitReason": func(ctx context.Context) error { return r.SetWaitReason(ctx, "why", []run.ID{of.ID, second.ID}) },
	} {
		other, err := r.raw.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range []string{`SET LOCAL deadlock_timeout = '1min'`, `SELECT 1 FROM runs WHERE id = 'r-0000000012' FOR UPDATE`} {
			if _, err := other.ExecContext(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
		doing := start(func() error { return do(context.Background()) })
		r.waiting(1)
		if n := r.ask(`SELECT count(*) FROM (SELECT 1 FROM runs WHERE id = 'r-0000000011' FOR UPDATE SKIP LOCKED) AS free`); n > 0 {
			t.Errorf("%s has not locked the first", what)
		}
		if _, err := other.ExecContext(t.Context(), `SELECT 1 FROM runs WHERE id = 'r-0000000011' FOR UPDATE`); err != nil {
			t.Errorf("%s: the other session was the one to lose: %v", what, err)
		}
		if err := other.Commit(); err != nil {
			t.Error(err)
		}
		r.end(doing)
	}
}

func TestATransactionThatAlwaysLosesGivesUp(t *testing.T) {
	r := begin(t)
	r.exec(`CREATE SEQUENCE tried`,
		`CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('tried') <= TG_ARGV[0]::int THEN RAISE 'lost' USING ERRCODE = TG_ARGV[1]; END IF; RETURN NEW; END $$`)
	update := func() error {
		_, err := r.Update(t.Context(), raced, func(u *store.Update) error {
			u.Events = append(u.Events, run.Event{RunID: raced, Kind: "told"})
			return nil
		})
		return err
	}
	told := func() int { return r.ask(`SELECT count(*) FROM events WHERE kind = 'told'`) }
	for _, code := range []string{"40001", "40P01"} {
		r.exec(`SELECT setval('tried', 1, false)`, fmt.Sprintf(`CREATE OR REPLACE TRIGGER lose BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION lose(3, '%s')`, code))
		before := told()
		if err := update(); err != nil || told() != before+1 {
			t.Errorf("%s three times: %v, %d events", code, err, told()-before)
		}
		r.exec(`SELECT setval('tried', 1, false)`, fmt.Sprintf(`CREATE OR REPLACE TRIGGER lose BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION lose(%d, '%s')`, math.MaxInt32, code))
		err := update()
		if f := fault.Of(err); f.Kind != fault.ErrStoreUnavailable || !strings.Contains(f.What, "in the way") {
			t.Errorf("%s each time: %v", code, err)
		}
		if n := r.ask(`SELECT last_value FROM tried`); n != 6 || told() != before+1 {
			t.Errorf("%s: tried %d times, %d events", code, n, told()-before)
		}
	}
}

func TestAPurgeOutlivesTheEndOfAStop(t *testing.T) {
	r := begin(t)
	stop := store.Order{JobID: "j", RunID: raced}
	order := func(o store.Order) *call {
		return start(func() error {
			_, err := r.Update(context.Background(), raced, func(u *store.Update) error { u.Orders = append(u.Orders, o); return nil })
			return err
		})
	}
	purge := func() *call { return order(store.Order{JobID: "j", RunID: raced, Purge: true}) }
	complete := func() *call {
		return start(func() error { return r.CompleteOrder(context.Background(), stop) })
	}
	for what, calls := range map[string][]func() *call{"purged first": {purge, complete}, "completed first": {complete, purge}} {
		r.exec(`DELETE FROM orders`)
		r.end(order(stop))
		release := r.hold(`SELECT 1 FROM orders FOR UPDATE`)
		first := calls[0]()
		r.waiting(1)
		second := calls[1]()
		r.waiting(2)
		release()
		r.end(first, second)
		left, err := r.Orders(t.Context())
		if err != nil || len(left) != 1 || !left[0].Purge {
			t.Errorf("%s: orders %+v, %v", what, left, err)
		}
	}
}
