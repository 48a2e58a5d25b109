package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// viewersEnv has the test binary be viewers: they have a process of their own, whose CPU and files are not the server's.
const viewersEnv = "COTRAIN_BENCH_VIEWERS"

// viewers says what to connect to, and what to send there: the messages of viewer i begin at Say[i % len(Say)].
type viewers struct {
	URL     string
	Say     []string
	Count   int
	Stalled int // further ones, who never read
	Expect  int // messages in all
}

// seen is what viewers report.
type seen struct {
	Messages      int
	Bytes         int64
	P50, P99, Max float64 // milliseconds from publishing to here
}

// stamp comes before the time at which a message was published, in nanoseconds.
const stamp = `"text":"at `

// beViewers is the other process: it connects, says so, and reports once everything expected has come or its input is closed.
func beViewers() int {
	var v viewers
	if err := json.Unmarshal([]byte(os.Getenv(viewersEnv)), &v); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	conns := make([]*websocket.Conn, v.Count+v.Stalled)
	errs := make(chan error, len(conns))
	slots := make(chan struct{}, 32)
	var connecting sync.WaitGroup
	for i := range conns {
		slots <- struct{}{}
		connecting.Go(func() {
			defer func() { <-slots }()
			var err error
			if conns[i], err = v.connect(i); err != nil {
				errs <- err
			}
		})
	}
	connecting.Wait()
	select {
	case err := <-errs:
		fmt.Fprintln(os.Stderr, err)
		return 1
	default:
	}
	fmt.Println("ready")
	all := make(chan struct{})
	var mu sync.Mutex
	var out seen
	var took []time.Duration
	for _, conn := range conns[:v.Count] {
		go func() { // ends with the process
			var mine []time.Duration
			for buf := new(bytes.Buffer); ; {
				n, size, err := read(conn, buf, &mine)
				if err != nil {
					return
				}
				if n == 0 {
					continue
				}
				mu.Lock()
				out.Messages += n
				out.Bytes += size
				took = append(took, mine...)
				if out.Messages == v.Expect {
					close(all)
				}
				mu.Unlock()
				mine = mine[:0]
			}
		}()
	}
	given := make(chan struct{})
	go func() { // ends with the process
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(given)
	}()
	select {
	case <-all:
	case <-given:
	}
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(took)
	if n := len(took); n > 0 {
		at := func(i int) float64 { return float64(took[i].Microseconds()) / 1000 }
		out.P50, out.P99, out.Max = at(n/2), at(n*99/100), at(n-1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(out)
	return 0
}

// connect opens a viewer's connection and waits for the answer to what it says.
func (v viewers) connect(i int) (*websocket.Conn, error) {
	d := websocket.Dialer{ReadBufferSize: 1024, WriteBufferSize: 1024, HandshakeTimeout: time.Minute}
	conn, resp, err := d.Dial(v.URL, nil)
	if err != nil {
		return nil, errors.Join(errors.New("connect"), err)
	}
	_ = resp.Body.Close() // empty after an upgrade
	if err := conn.WriteMessage(websocket.TextMessage, []byte(v.Say[i%len(v.Say)])); err != nil {
		return nil, err
	}
	_, _, err = conn.ReadMessage()
	return conn, err
}

// read returns how many messages a frame has, and its size; their latencies are appended to took.
func read(conn *websocket.Conn, buf *bytes.Buffer, took *[]time.Duration) (n int, size int64, err error) {
	_, r, err := conn.NextReader()
	if err != nil {
		return 0, 0, err
	}
	buf.Reset()
	if size, err = buf.ReadFrom(r); err != nil {
		return 0, 0, err
	}
	now := time.Now()
	text := buf.Bytes()
	if string(text) == "{}" { // the ping of centrifuge
		return 0, 0, conn.WriteMessage(websocket.TextMessage, text)
	}
	for {
		_, rest, found := bytes.Cut(text, []byte(stamp))
		if !found {
			return n, size, nil
		}
		end := bytes.IndexByte(rest, ' ')
		ns, err := strconv.ParseInt(string(rest[:max(end, 0)]), 10, 64)
		if err != nil {
			return n, size, err
		}
		*took = append(*took, now.Sub(time.Unix(0, ns)))
		n, text = n+1, rest
	}
}

// watching is viewers that are connected.
type watching struct {
	cmd *exec.Cmd
	in  io.Closer
	out *bufio.Reader
}

// gather starts viewers, and returns once all are connected.
func gather(b *testing.B, v viewers) watching {
	b.Helper()
	config, err := json.Marshal(v)
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), viewersEnv+"="+string(config)), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	w := watching{cmd, in, bufio.NewReader(out)}
	if line, err := w.out.ReadString('\n'); err != nil || line != "ready\n" {
		_ = cmd.Wait()
		b.Fatalf("viewers: %q, %v", line, err)
	}
	return w
}

// report waits a while for what is under way, and ends the viewers.
func (w watching) report(b *testing.B, patience time.Duration) (out seen) {
	b.Helper()
	late := time.AfterFunc(patience, func() { _ = w.in.Close() })
	defer late.Stop()
	if err := json.NewDecoder(w.out).Decode(&out); err != nil {
		b.Fatal(err)
	}
	_ = w.in.Close()
	if err := w.cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	return out
}

// wsURL is an address for sockets.
func wsURL(server string, path string) string { return "ws" + server[len("http"):] + path }
