package localnomad

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
	"pgregory.net/rapid"
)

type frame struct {
	Offset    int64
	Data      []byte
	File      string
	FileEvent string
}

// follow opens a log stream and returns a function that reads its next frame.
func (a *testAgent) follow(ctx context.Context, path string) (next func() (frame, error), closeBody func()) {
	a.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://local"+path, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	resp, err := a.http.Do(req) //nolint:bodyclose // the caller closes it
	if err != nil {
		a.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		a.t.Fatalf("%s: %d %s", path, resp.StatusCode, text)
	}
	dec := json.NewDecoder(resp.Body)
	return func() (frame, error) {
		var f frame
		err := dec.Decode(&f)
		return f, err
	}, func() { _ = resp.Body.Close() }
}

// collect reads frames until there are n bytes or the stream ends.
func collect(t *testing.T, next func() (frame, error), n int) []byte {
	t.Helper()
	var out bytes.Buffer
	for out.Len() < n {
		f, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("after %d bytes: %v", out.Len(), err)
		}
		if len(f.Data) > frameSize {
			t.Fatalf("a frame has %d bytes", len(f.Data))
		}
		out.Write(f.Data)
	}
	return out.Bytes()
}

func TestFollowersGetEveryLineAndHeartbeats(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.register(shellJob("chatty", `i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); sleep 0.01; done; exec sleep 600`, 1))
	al := a.waitAllocs("chatty", clientRunning, 1)[0]
	next, closeBody := a.follow(t.Context(), "/v1/client/fs/logs/"+al.ID+"?task=main&type=stdout&follow=true")
	defer closeBody()
	var want strings.Builder
	for i := range 40 {
		fmt.Fprintf(&want, "line %d\n", i)
	}
	if got := collect(t, next, want.Len()); string(got) != want.String() {
		t.Errorf("got %q", got)
	}
	f, err := next()
	if err != nil || f.Offset != 0 || f.File != "" || len(f.Data) != 0 {
		t.Errorf("an idle stream says %+v, %v, not {}", f, err)
	}
}

func TestOffsetsAndOriginsAreNomads(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.register(shellJob("ten", `printf 0123456789`, 1))
	al := a.waitAllocs("ten", clientComplete, 1)[0]
	base := "/v1/client/fs/logs/" + al.ID + "?task=main&type=stdout"
	for query, want := range map[string]string{
		"": `{"Data":"MDEyMzQ1Njc4OQ==","File":"alloc/logs/main.stdout.0","Offset":10}`, "&offset=8": `{"Data":"ODk=","File":"alloc/logs/main.stdout.0","Offset":10}`,
		"&origin=end&offset=3": `{"Data":"Nzg5","File":"alloc/logs/main.stdout.0","Offset":10}`, "&offset=99": "",
		"&origin=end&offset=0": `{"Data":"MDEyMzQ1Njc4OQ==","File":"alloc/logs/main.stdout.0","Offset":10}`, "&plain=true&offset=5": "56789",
	} {
		if got, code := a.get(base + query); code != 200 || got != want {
			t.Errorf("%q: %d %s", query, code, got)
		}
	}
	unknown := "00000000-0000-0000-0000-000000000000"
	for path, want := range map[string]string{
		"logs/":                               "400 must provide a valid alloc id",
		"logs/" + al.ID:                       "400 must provide task name",
		"logs/" + al.ID + "?task=main":        "400 must provide log type (stdout/stderr)",
		"logs/" + al.ID + "?task=main&type=x": "400 must provide log type (stdout/stderr)",
		"logs/" + al.ID + "?task=main&type=stdout&origin=x":     "400 origin must be start or end",
		"logs/" + al.ID + "?task=zap&type=stdout":               `400 unknown task name "zap"`,
		"logs/" + unknown + "?task=main&type=stdout":            `404 Unknown allocation "` + unknown + `"`,
		"stat/" + al.ID + "?path=../../state/state-0.log":       "500 Path escapes the alloc directory",
		"cat/" + al.ID + "?path=main/secrets/x":                 "200 Reading secret file prohibited: main/secrets/x",
		"stream/" + al.ID + "?path=alloc&follow=false":          `400 file "alloc" is a directory`,
		"readat/" + al.ID + "?path=alloc/logs/main.stdout.0":    `200 error parsing offset: strconv.ParseInt: parsing "": invalid syntax`,
		"zap/" + al.ID + "?path=alloc/logs/main.stdout.0&task=": "404 Invalid method",
	} {
		if body, code := a.get("/v1/client/fs/" + path); fmt.Sprintf("%d %s", code, body) != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	for path, want := range map[string]string{
		"cat/" + al.ID + "?path=alloc/logs/main.stdout.0":                          "0123456789",
		"readat/" + al.ID + "?path=alloc/logs/main.stdout.0&offset=2&limit=3":      "234",
		"stream/" + al.ID + "?path=alloc/logs/main.stdout.0&follow=false&offset=9": `{"Data":"OQ==","File":"alloc/logs/main.stdout.0","Offset":10}`,
	} {
		if body, code := a.get("/v1/client/fs/" + path); code != 200 || body != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if body, code := a.get("/v1/client/fs/ls/" + al.ID + "?path=alloc/logs"); code != 200 || strings.Count(body, `"Name"`) != 2 {
		t.Errorf("ls: %d %s", code, body)
	}
}

func TestALinkDoesNotLeadOutOfTheAllocation(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.register(shellJob("linker", `ln -s /etc/passwd local/out; ln -s ../secrets local/s; echo x > secrets/x`, 1))
	al := a.waitAllocs("linker", clientComplete, 1)[0]
	for path, want := range map[string]string{
		"main/local/out": "Path escapes the alloc directory", "main/local/s/x": "Reading secret file prohibited: main/local/s/x",
	} {
		if body, _ := a.get("/v1/client/fs/cat/" + al.ID + "?path=" + path); body != want {
			t.Errorf("%s shows %q", path, body)
		}
	}
}

func TestLogsOfATaskThatHasNotStartedAreNotThere(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	job := shellJob("waiting", "true", 1)
	job.TaskGroups[0].Tasks[0].Templates = []*api.Template{{EmbeddedTmpl: new(`{{ nomadVar "none" }}`), DestPath: new("local/v"), ChangeMode: new("noop")}}
	a.register(job)
	var al *api.AllocationListStub
	until(t, "the allocation", func() bool {
		if all := a.allocs("waiting"); len(all) == 1 {
			al = all[0]
		}
		return al != nil
	})
	if body, code := a.get("/v1/client/fs/logs/" + al.ID + "?task=main&type=stdout"); code != 404 || body != `task "main" not started yet. No logs available` {
		t.Errorf("%d %s", code, body)
	}
}

// TestFastAndStrangeOutputArrivesWhole prints 200 000 lines as fast as it can, lines of 1 MiB, and bytes that are no text.
func TestFastAndStrangeOutputArrivesWhole(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	const lines = 200_000
	a.register(shellJob("fast", fmt.Sprintf(`seq 1 %d; head -c 3145728 /dev/zero | tr '\0' x; echo; head -c 100000 /dev/zero; head -c 256 /dev/urandom > local/r; cat local/r; exec sleep 600`, lines), 1))
	al := a.waitAllocs("fast", clientRunning, 1)[0]
	var want bytes.Buffer
	for i := range lines {
		fmt.Fprintf(&want, "%d\n", i+1)
	}
	want.Write(bytes.Repeat([]byte("x"), 3<<20))
	want.WriteByte('\n')
	want.Write(make([]byte, 100_000))
	next, closeBody := a.follow(t.Context(), "/v1/client/fs/logs/"+al.ID+"?task=main&type=stdout&follow=true")
	defer closeBody()
	got := collect(t, next, want.Len()+256)
	if len(got) != want.Len()+256 || !bytes.Equal(got[:want.Len()], want.Bytes()) {
		t.Fatalf("%d bytes arrived, %d were printed, or they differ", len(got), want.Len()+256)
	}
	random, err := os.ReadFile(filepath.Join(a.s.allocDir(al.ID).local("main"), "r"))
	if err != nil || !bytes.Equal(got[want.Len():], random) {
		t.Errorf("the bytes that are no text changed, %v", err)
	}
}

func TestLogsRotateAndFollowersCrossTheFiles(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	job := shellJob("rotating", `until [ -e local/go ]; do sleep 0.01; done; seq 1 600000; exec sleep 600`, 1)
	job.TaskGroups[0].Tasks[0].LogConfig = &api.LogConfig{MaxFiles: new(20), MaxFileSizeMB: new(1)}
	a.register(job)
	al := a.waitAllocs("rotating", clientRunning, 1)[0]
	next, closeBody := a.follow(t.Context(), "/v1/client/fs/logs/"+al.ID+"?task=main&type=stdout&follow=true")
	defer closeBody()
	if err := os.WriteFile(filepath.Join(a.s.allocDir(al.ID).local("main"), "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	for i := range 600_000 {
		fmt.Fprintf(&want, "%d\n", i+1)
	}
	if got := collect(t, next, want.Len()); !bytes.Equal(got, want.Bytes()) {
		t.Fatalf("%d of %d bytes, or they differ", len(got), want.Len())
	}
	indexes, err := logIndexes(a.s.allocDir(al.ID).logs(), "main.stdout")
	if err != nil || len(indexes) < 4 {
		t.Errorf("files %v, %v", indexes, err)
	}
	tail := want.Bytes()[want.Len()-2_500_000:]
	if got, _ := a.get("/v1/client/fs/logs/" + al.ID + "?task=main&type=stdout&plain=true&origin=end&offset=2500000"); got != string(tail) {
		t.Errorf("the last 2.5 MB are %d bytes, or differ", len(got))
	}
}

func TestRotationLosesNothingAndSplitsNoLineThatFits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "rotate")
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		size := rapid.Int64Range(8, 64).Draw(rt, "file size")
		w, err := openLogWriter(dir, "t.stdout", 1000, size, slog.New(slog.DiscardHandler))
		if err != nil {
			rt.Fatal(err)
		}
		var all []byte
		for _, p := range rapid.SliceOf(rapid.StringMatching(`[a-z]{0,20}\n?[a-z]{0,90}\n?`)).Draw(rt, "writes") {
			all = append(all, p...)
			if n, err := w.Write([]byte(p)); n != len(p) || err != nil {
				rt.Fatalf("write: %d %v", n, err)
			}
		}
		if err := w.Close(); err != nil {
			rt.Fatal(err)
		}
		indexes, err := logIndexes(dir, "t.stdout")
		if err != nil {
			rt.Fatal(err)
		}
		var got []byte
		for _, i := range indexes {
			text, err := os.ReadFile(w.path(i))
			if err != nil || int64(len(text)) > size {
				rt.Fatalf("file %d has %d bytes, limit %d, %v", i, len(text), size, err)
			}
			got = append(got, text...)
		}
		if !bytes.Equal(got, all) {
			rt.Fatalf("wrote %q, files hold %q", all, got)
		}
	})
}

func TestOldLogFilesAreRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, err := openLogWriter(dir, "t.stderr", 3, 10, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		fmt.Fprintf(w, "line %03d\n", i)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if indexes, err := logIndexes(dir, "t.stderr"); err != nil || fmt.Sprint(indexes) != "[7 8 9]" {
		t.Errorf("files %v, %v", indexes, err)
	}
}

func TestALogThatCannotBeWrittenDoesNotStopItsTask(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	w, err := openLogWriter(t.TempDir(), "t.stdout", 3, 1<<20, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("the system has no /dev/full")
	}
	good := w.file
	w.file = full
	for range 3 {
		if n, err := w.Write([]byte("lost\n")); n != 5 || err != nil {
			t.Errorf("write: %d %v", n, err)
		}
	}
	w.file = good
	fmt.Fprintln(w, "kept")
	if err := errors.Join(w.Close(), full.Close()); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(w.path(0)); err != nil || string(text) != "\n"+lostMark+"kept\n" {
		t.Errorf("file holds %q, %v", text, err)
	}
	if n := w.lost(); n != 15 {
		t.Errorf("%d bytes are said to be lost", n)
	}
	if out := said.String(); strings.Count(out, "cannot be written") != 1 || !strings.Contains(out, "bytes_lost=15") {
		t.Errorf("the agent's log says %q", out)
	}
}

// TestALineReachesItsFollowerSoon states no time that a loaded machine would break: it measures, and only fails when a
// follower is woken by polling instead of by the write.
func TestALineReachesItsFollowerSoon(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	job := shellJob("soon", `i=0; while [ $i -lt 20 ]; do date +%s%N; i=$((i+1)); sleep 0.02; done; exec sleep 600`, 1)
	a.register(job)
	al := a.waitAllocs("soon", clientRunning, 1)[0]
	next, closeBody := a.follow(t.Context(), "/v1/client/fs/logs/"+al.ID+"?task=main&type=stdout&follow=true")
	defer closeBody()
	best := time.Hour
	for range 20 {
		f, err := next()
		if err != nil {
			t.Fatal(err)
		}
		var ns int64
		for line := range strings.Lines(string(f.Data)) {
			if _, err := fmt.Sscan(line, &ns); err == nil {
				best = min(best, time.Since(time.Unix(0, ns)))
			}
		}
	}
	t.Logf("from print to frame, the best of 20: %v", best)
	if best > missedWake {
		t.Errorf("the best line took %v", best)
	}
}

func TestATaskWhoseOutputIsLostSaysSo(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("the system has no /dev/full")
	}
	a := startAgent(t, nil)
	a.register(shellJob("lost", "until [ -e local/go ]; do sleep 0.02; done; echo lost", 1))
	al := a.waitAllocs("lost", clientRunning, 1)[0]
	a.s.logs.mu.Lock()
	w := a.s.logs.m[logKey(al.ID, "main", "stdout")]
	a.s.logs.mu.Unlock()
	w.mu.Lock()
	good := w.file
	w.file = full
	w.mu.Unlock()
	if err := errors.Join(good.Close(), os.WriteFile(filepath.Join(a.s.allocDir(al.ID).local("main"), "go"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	al = a.waitAllocs("lost", clientComplete, 1)[0]
	for _, ev := range al.TaskStates["main"].Events {
		if ev.Type == api.TaskDriverMessage && ev.Details["stdout_lost"] == "5" && ev.Details["stderr_lost"] == "0" {
			return
		}
	}
	t.Errorf("no event tells of it: %+v", al.TaskStates["main"].Events)
}
