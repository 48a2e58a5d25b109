package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// printed is how many lines the task prints, one every 25 ms, each the time at which it was printed.
const printed = 300

const printer = `i=0
while [ $i -lt 300 ]; do date +%s%N; i=$((i+1)); sleep 0.025; done
sleep 2
`

// BenchmarkLogLatency measures from a line printed by a task to the message received by a WebSocket client of the console, and
// beside it to the frame received by a bare follower of the same agent's log API. Both watch the same lines. The agent is that of Nomad
// where COTRAIN_BENCH_NOMAD has one's address, such as 127.0.0.1:4646, else the embedded one.
func BenchmarkLogLatency(b *testing.B) {
	for range b.N {
		dir := b.TempDir()
		script := filepath.Join(dir, "printer.sh")
		if err := os.WriteFile(script, []byte(printer), 0o600); err != nil {
			b.Fatal(err)
		}
		agent := started{addr: os.Getenv("COTRAIN_BENCH_NOMAD")}
		if agent.addr == "" {
			agent = start(b, nil, "agent", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(dir, "agent"))
		}
		login := admitted(b, filepath.Join(dir, "console"))
		console := start(b, []string{
			"COTRAIN_LISTEN=127.0.0.1:0", "COTRAIN_DATA_DIR=" + filepath.Join(dir, "console"), "NOMAD_ADDR=http://" + agent.addr,
			"COTRAIN_JOB_TRAIN_COMMAND=/bin/sh " + script,
		}, "server")
		console.login = login
		id := submitPrinter(b, console)
		var bare, socket []time.Duration
		var wg sync.WaitGroup
		wg.Go(func() { socket = socketLatencies(b, console, id) })
		wg.Go(func() { bare = bareLatencies(b, console, agent, id) })
		wg.Wait()
		if len(bare) < printed/2 || len(socket) < printed/2 {
			b.Fatalf("only %d and %d of %d lines were seen", len(bare), len(socket), printed)
		}
		b.ReportMetric(ms(socket), "ms-p50-socket")
		b.ReportMetric(p99(socket), "ms-p99-socket")
		b.ReportMetric(ms(bare), "ms-p50-baseline-follower")
		b.ReportMetric(p99(bare), "ms-p99-baseline-follower")
		b.ReportMetric(ms(socket)-ms(bare), "ms-p50-added(<2)")
		b.ReportMetric(ms(socket)/ms(bare), "ratio")
	}
}

func p99(ds []time.Duration) float64 {
	slices.Sort(ds)
	return float64(ds[len(ds)*99/100].Microseconds()) / 1000
}

func submitPrinter(b *testing.B, console started) run.ID {
	b.Helper()
	preset, _ := trainconf.PresetByName("debug-diloco")
	body, err := json.Marshal(run.Submission{Name: "printer", Config: string(preset.Config.TOML()), Shape: run.Shape{Nodes: 1}})
	if err != nil {
		b.Fatal(err)
	}
	resp, err := console.call(http.MethodPost, "/api/v1/runs", bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var r run.Run
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil || resp.StatusCode != http.StatusCreated {
		b.Fatalf("submit: %d, %v", resp.StatusCode, err)
	}
	return r.ID
}

// latency is how long ago a line says that it was printed; false for lines of others.
func latency(line string, now time.Time) (time.Duration, bool) {
	ns, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	return now.Sub(time.Unix(0, ns)), err == nil && len(line) > 15
}

func socketLatencies(b *testing.B, console started, id run.ID) (out []time.Duration) {
	header := console.login.Clone()
	header.Set("Origin", "http://"+console.addr)
	conn, resp, err := websocket.DefaultDialer.Dial("ws://"+console.addr+"/ws", header)
	if err != nil {
		b.Error(err)
		return nil
	}
	_ = resp.Body.Close() // empty after an upgrade
	defer func() { _ = conn.Close() }()
	topic := feed.RunTopic(id)
	if err := conn.WriteJSON(map[string]any{"sub": []string{topic}, "since": map[string]int64{}}); err != nil {
		b.Error(err)
		return nil
	}
	for deadline := time.Now().Add(time.Minute); len(out) < printed && time.Now().Before(deadline); {
		_ = conn.SetReadDeadline(deadline) // a failure shows in the read
		var m feed.Message
		if err := conn.ReadJSON(&m); err != nil {
			return out
		}
		now := time.Now()
		if m.Type != feed.LogType {
			continue
		}
		var l feed.Log
		if err := json.Unmarshal(m.Data, &l); err != nil {
			b.Error(err)
		}
		for _, line := range l.Lines {
			if d, ok := latency(line.Text, now); ok {
				out = append(out, d)
			}
		}
	}
	return out
}

func bareLatencies(b *testing.B, console, agent started, id run.ID) (out []time.Duration) {
	alloc := allocation(b, console, id)
	var resp *http.Response
	for resp == nil || resp.StatusCode != http.StatusOK { // until the task has started
		var err error
		resp, err = http.Get(fmt.Sprintf("http://%s/v1/client/fs/logs/%s?task=trainer&type=stdout&follow=true&origin=start", agent.addr, alloc))
		if err != nil {
			b.Error(err)
			return nil
		}
		if resp.StatusCode != http.StatusOK {
			_ = resp.Body.Close() // tried again
		}
	}
	defer func() { _ = resp.Body.Close() }()
	var rest string
	for dec := json.NewDecoder(resp.Body); len(out) < printed; {
		var frame struct{ Data []byte }
		if err := dec.Decode(&frame); err != nil {
			return out
		}
		now := time.Now()
		lines := strings.SplitAfter(rest+string(frame.Data), "\n")
		rest = lines[len(lines)-1]
		for _, line := range lines[:len(lines)-1] {
			if d, ok := latency(line, now); ok {
				out = append(out, d)
			}
		}
	}
	return out
}

// allocation waits for the run's only worker.
func allocation(b *testing.B, console started, id run.ID) string {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		resp, err := console.call(http.MethodGet, "/api/v1/runs/"+string(id)+"/workers", nil)
		if err != nil {
			b.Error(err)
			return ""
		}
		var ws struct{ Items []run.Worker }
		err = json.NewDecoder(resp.Body).Decode(&ws)
		_ = resp.Body.Close() // read to its end
		if err == nil && len(ws.Items) > 0 {
			return ws.Items[0].AllocID
		}
	}
	b.Error("the run got no worker")
	return ""
}
