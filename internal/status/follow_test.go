package status

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
)

// folder is shared storage as a folder of a test.
type folder string

func (f folder) Read(_ context.Context, _, name string, since time.Time, most int64) ([]byte, time.Time, error) {
	info, err := os.Stat(filepath.Join(string(f), name))
	if err != nil || info.ModTime().Before(since) {
		return nil, time.Time{}, err
	}
	if info.Size() > most {
		return nil, time.Time{}, errors.New("too long")
	}
	b, err := os.ReadFile(filepath.Join(string(f), name))
	return b, info.ModTime(), err
}

func (f folder) Where(_, name string) string { return filepath.Join(string(f), name) }

func (f folder) put(t *testing.T, content string) {
	t.Helper()
	path := filepath.Join(string(f), "x", string(id)+".1.json")
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path+".new", []byte(content), 0o600), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
}

// tell is what a follower makes of statuses.
func (f folder) tail(t *testing.T, from nomad.Cursor, started time.Time, follow bool, fn func(nomad.LogChunk) error) error {
	t.Helper()
	w := &world{runs: map[run.ID]run.Run{id: training(0)}}
	follower := NewFollower(FollowOptions{Path: "x/{run}.{attempt}.json", Files: f, Runs: w, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return follower.TailStatus(ctx, run.Worker{RunID: id, Attempt: 1, StartedAt: started}, from, follow, fn)
}

var errEnough = errors.New("enough")

func TestEachNewStatusOfATrainerBecomesALine(t *testing.T) {
	t.Parallel()
	f := folder(t.TempDir())
	statuses := []string{
		`{"step":1,"loss":2.5,"metrics":{"learningRate":0.1,"gpu":"A100"}}`, `{"progress":50,"loss":"NaN"}`, `{"step":200,"loss":null,"state":"running","unknown":[1]}`,
		`{"step":201,"loss":NaN,"note":"-Infinity \" NaN","metrics":{"gradNorm":-Infinity,"x":"fast"}}`, // as Python writes it
	}
	f.put(t, statuses[0])
	var lines []string
	err := f.tail(t, nomad.Cursor{}, time.Now().Add(-time.Hour), true, func(c nomad.LogChunk) error {
		lines = append(lines, string(c.Data))
		if len(lines) == len(statuses) {
			return errEnough
		}
		f.put(t, `{"step":`) // half of one changes nothing
		f.put(t, statuses[len(lines)])
		return nil
	})
	want := []string{
		`COTRAIN {"kind":"metrics","learning_rate":0.1,"loss":2.5,"step":1,"v":1}` + "\n", `COTRAIN {"kind":"metrics","loss":"NaN","step":150,"v":1}` + "\n", `COTRAIN {"kind":"metrics","step":200,"v":1}` + "\n",
		`COTRAIN {"grad_norm":"-Infinity","kind":"metrics","loss":"NaN","step":201,"v":1}` + "\n",
	}
	if diff := cmp.Diff(want, lines); diff != "" || !errors.Is(err, errEnough) {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestAConsoleThatWasRestartedRepeatsNoStatus(t *testing.T) {
	t.Parallel()
	f := folder(t.TempDir())
	f.put(t, `{"step":1,"loss":2.5}`)
	var stored nomad.Cursor
	chunks := 0
	take := func(c nomad.LogChunk) error {
		stored, chunks = nomad.Cursor{File: c.File, Offset: int64(len(c.Data))}, chunks+1
		return nil
	}
	for range 2 {
		if err := f.tail(t, stored, time.Time{}, false, take); err != nil {
			t.Fatal(err)
		}
	}
	if chunks != 1 {
		t.Errorf("told %d times", chunks)
	}
	f.put(t, `{"step":2,"loss":2.4}`) // while no console was there
	if err := f.tail(t, stored, time.Time{}, false, take); err != nil || chunks != 2 {
		t.Errorf("%v, told %d times", err, chunks)
	}
}

func TestWhatAnEarlierAttemptLeftIsNoStatus(t *testing.T) {
	t.Parallel()
	f := folder(t.TempDir())
	f.put(t, `{"step":1,"loss":2.5}`)
	err := f.tail(t, nomad.Cursor{}, time.Now().Add(time.Hour), false, func(nomad.LogChunk) error { return errEnough })
	if err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoStatusIsIgnored(t *testing.T) {
	t.Parallel()
	for _, content := range []string{
		"", "null", "[]", "7", `"x"`, `{}`, `{"step":-1}`, `{"step":1.5}`, `{"step":1e30}`, `{"step":9000000000000}`, `{"progress":-1}`, `{"progress":101}`, `{"step":"1"}`, `{"step":1`, "\x00\xff",
		`{"step":1,"metrics":{"a":` + strings.Repeat("[", 100_000) + `}}`,
	} {
		if line, ok := lineOf([]byte(content), 300); ok {
			t.Errorf("%.40q became %s", content, line)
		}
	}
	many := `{"step":1,"metrics":{"v":7,"kind":8,"step":9` + strings.Repeat(` `, 10)
	for i := range 500 {
		many += `,"m` + strings.Repeat("x", i) + `":1`
	}
	line, ok := lineOf([]byte(many+"}}"), 300)
	if !ok || strings.Count(string(line), ":") > maxMetrics+1 || !strings.Contains(string(line), `"v":1`) || !strings.Contains(string(line), `"kind":"metrics"`) {
		t.Errorf("many metrics became %.200s", line)
	}
}

func TestAStatusIsPolledWhereNobodyTellsOfIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var polls pollFiles
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		follower := NewFollower(FollowOptions{Path: "{run}", Files: &polls, Runs: &world{runs: map[run.ID]run.Run{id: training(0)}}, Logger: slog.New(slog.DiscardHandler)})
		err := follower.TailStatus(ctx, run.Worker{RunID: id}, nomad.Cursor{}, true, func(nomad.LogChunk) error { return nil })
		if !errors.Is(err, context.DeadlineExceeded) || polls < 9 || polls > 12 {
			t.Errorf("%v after %d looks in ten seconds", err, polls)
		}
	})
}

// pollFiles is a file system of which nothing is told; it counts looks.
type pollFiles int

func (p *pollFiles) Read(context.Context, string, string, time.Time, int64) ([]byte, time.Time, error) {
	*p++
	return nil, time.Time{}, os.ErrNotExist
}

func (*pollFiles) Where(string, string) string { return "/nowhere/at/all" }
