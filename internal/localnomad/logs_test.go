package localnomad

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/logfile"
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
		if len(f.Data) > logfile.FrameSize {
			t.Fatalf("a frame has %d bytes", len(f.Data))
		}
		out.Write(f.Data)
	}
	return out.Bytes()
}

func TestOffsetsAndOriginsAreNomads(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.register(shellJob("ten", `printf 0123456789`, 1))
	al := a.waitAllocs("ten", api.AllocClientStatusComplete, 1)[0]
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
	if body, code := a.get("/v1/client/fs/ls/" + al.ID + "?path=none"); code != 404 || body != "stat none: no such file or directory" {
		t.Errorf("ls of nothing: %d %s", code, body)
	}
	if body, code := a.get("/v1/client/fs/ls/" + al.ID + "?path=/alloc/logs"); code != 200 || strings.Count(body, `"Name"`) != 2 {
		t.Errorf("ls: %d %s", code, body)
	}
}

func TestAPathDoesNotLeadOutOfTheAllocation(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.register(shellJob("linker", `ln -s /etc local/out`, 1))
	al := a.waitAllocs("linker", api.AllocClientStatusComplete, 1)[0]
	for _, path := range []string{"main/local/out", "../../state", "..", "/../.."} {
		if body, code := a.get("/v1/client/fs/ls/" + al.ID + "?path=" + path); code == 200 && (strings.Contains(body, "passwd") || strings.Contains(body, "agent.lock") || strings.Contains(body, "state.log")) {
			t.Errorf("%s shows %s", path, body)
		}
	}
}

// TestFastAndStrangeOutputArrivesWhole prints 200 000 lines as fast as it can, a line of 3 MiB, and bytes that are no text, to
// a follower who has to cross files.
func TestFastAndStrangeOutputArrivesWhole(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	const lines = 200_000
	job := shellJob("fast", fmt.Sprintf(`seq 1 %d; head -c 3145728 /dev/zero | tr '\0' x; echo; head -c 100000 /dev/zero; head -c 256 /dev/urandom > local/r; cat local/r; exec sleep 600`, lines), 1)
	job.TaskGroups[0].Tasks[0].LogConfig = &api.LogConfig{MaxFiles: new(20), MaxFileSizeMB: new(1)}
	a.register(job)
	al := a.waitAllocs("fast", api.AllocClientStatusRunning, 1)[0]
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
	random, err := os.ReadFile(filepath.Join(a.s.runners.Dir(al.ID).Local("main"), "r"))
	if err != nil || !bytes.Equal(got[want.Len():], random) {
		t.Errorf("the bytes that are no text changed, %v", err)
	}
	if f, err := next(); err != nil || f.Offset != 0 || f.File != "" || len(f.Data) != 0 {
		t.Errorf("an idle stream says %+v, %v, not {}", f, err)
	}
	indexes, err := logfile.Indexes(a.s.runners.Dir(al.ID).Logs(), "main.stdout")
	if err != nil || len(indexes) < 4 {
		t.Errorf("files %v, %v", indexes, err)
	}
	if tail, _ := a.get("/v1/client/fs/logs/" + al.ID + "?task=main&type=stdout&plain=true&origin=end&offset=2500000"); tail != string(got[len(got)-2_500_000:]) {
		t.Errorf("the last 2.5 MB are %d bytes, or differ", len(tail))
	}
}

// TestALineReachesItsFollowerSoon states no time that a loaded machine would break: it measures, and only fails when a
// follower is woken by polling instead of by the write.
func TestALineReachesItsFollowerSoon(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	job := shellJob("soon", `i=0; while [ $i -lt 20 ]; do date +%s%N; i=$((i+1)); sleep 0.02; done; exec sleep 600`, 1)
	a.register(job)
	al := a.waitAllocs("soon", api.AllocClientStatusRunning, 1)[0]
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
	if best > logfile.MissedWake {
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
	al := a.waitAllocs("lost", api.AllocClientStatusRunning, 1)[0]
	// The log goes to a full device from now on.
	path := filepath.Join(a.s.runners.Dir(al.ID).Logs(), "main.stdout.0")
	fd := openFile(t, path)
	if err := syscall.Dup3(int(full.Fd()), fd, syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(a.s.runners.Dir(al.ID).Local("main"), "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	al = a.waitAllocs("lost", api.AllocClientStatusComplete, 1)[0]
	for _, ev := range al.TaskStates["main"].Events {
		if ev.Type == api.TaskDriverMessage && ev.Details["stdout_lost"] == "5" && ev.Details["stderr_lost"] == "0" {
			return
		}
	}
	t.Errorf("no event tells of it: %+v", al.TaskStates["main"].Events)
}

// openFile finds the descriptor that this process has for a file.
func openFile(t *testing.T, path string) int {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == path {
			fd, err := strconv.Atoi(filepath.Base(link))
			if err != nil {
				t.Fatal(err)
			}
			return fd
		}
	}
	t.Fatalf("nobody has %s open", path)
	return -1
}
