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
	"runtime"
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
	all := make(chan struct{})
	var mu sync.Mutex
	var out seen
	var took []time.Duration
	arrive := func(text []byte) error {
		mu.Lock()
		defer mu.Unlock()
		n, err := arrivals(text, &took)
		out.Messages += n
		out.Bytes += int64(len(text))
		if n > 0 && out.Messages == v.Expect {
			close(all)
		}
		return err
	}
	for reading := range slices.Chunk(conns[:v.Count], (v.Count+1)/2) { // by two, as the server has two processors to write
		f, err := newFrames(reading)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		go func() { // ends with the process
			var err error
			for err == nil {
				err = f.next(arrive)
			}
			fmt.Fprintln(os.Stderr, err)
		}()
	}
	fmt.Println("ready")
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
	runtime.KeepAlive(conns) // also those that nobody reads
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

// arrivals returns how many messages a frame has; their latencies are appended to took.
func arrivals(text []byte, took *[]time.Duration) (n int, err error) {
	now := time.Now()
	for {
		_, rest, found := bytes.Cut(text, []byte(stamp))
		if !found {
			return n, nil
		}
		end := bytes.IndexByte(rest, ' ')
		ns, err := strconv.ParseInt(string(rest[:max(end, 0)]), 10, 64)
		if err != nil {
			return n, err
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
