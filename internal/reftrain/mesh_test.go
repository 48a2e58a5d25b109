package reftrain

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const diloco10 = "[diloco]\ninner_steps = 10\n"

// peer speaks the protocol by hand.
type handPeer struct {
	t    *testing.T
	conn net.Conn
}

func dial(t *testing.T, addr net.Addr) *handPeer {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &handPeer{t, conn}
}

func (p *handPeer) send(f frame) {
	p.t.Helper()
	if _, err := p.conn.Write(mustEncode(p.t, f)); err != nil {
		p.t.Fatal(err)
	}
}

// next returns the next frame that is no heartbeat.
func (p *handPeer) next() frame {
	p.t.Helper()
	for {
		f, err := readFrame(p.conn, 1<<26)
		if err != nil {
			p.t.Fatal(err)
		}
		if f.kind != frameHeartbeat {
			return f
		}
	}
}

// hello greets worker 0 of the cluster as a worker with its configuration would.
func (c *cluster) hello(rank int, id string) (*handPeer, *trainer) {
	c.t.Helper()
	cfg := defaultConfig()
	if err := decodeTOML(c.toml, &cfg); err != nil {
		c.t.Fatal(err)
	}
	tr, err := newTrainer(cfg, world{rank: rank, size: c.world}, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	fingerprint, err := tr.fingerprint()
	if err != nil {
		c.t.Fatal(err)
	}
	p := dial(c.t, c.ln.Addr())
	p.send(frame{kind: frameHello, header: header{Protocol: protocolVersion, Fingerprint: fingerprint, ID: id, Rank: rank, BaseHash: tr.s.baseHash()}})
	return p, tr
}

func TestKilledWorkersDoNotStopTheOthers(t *testing.T) {
	t.Parallel()
	c := newCluster(t, tiny(40, diloco10), 3)
	c.env = map[string]string{"COTRAIN_TRAINER_FAULT": "exit137@14:2"}
	ws := c.all()
	ws[2].mustEnd(137)
	ws[0].mustEnd(0)
	ws[1].mustEnd(0)
	ws[0].sees("[INFO] [Rank 0] Evicting nodes: ['w2']\n")
	for _, w := range ws[:2] {
		w.sees("Destroyed process group")
		if log := w.err.String(); !strings.Contains(log, "diloco_peers: 3\n") || !strings.Contains(log, "diloco_peers: 2\n") {
			t.Errorf("the number of peers does not go from 3 to 2:\n%s", log)
		}
	}
	// What the survivors do is training: both end with the same model, and a low loss.
	if l := ws[0].losses(); len(l) != 40 || mean(l, 31, 40) > mean(l, 1, 10)-0.5 {
		t.Errorf("%d steps, loss from %.2f to %.2f", len(l), mean(l, 1, 10), mean(l, 31, 40))
	}
}

// round contributes zeros to one average and takes the outer step, as a worker that has learnt nothing would.
func (p *handPeer) round(tr *trainer, n int64) frame {
	p.t.Helper()
	vec := make([]float64, len(tr.s.params))
	p.send(frame{kind: frameVector, header: header{Round: n, Encoding: encodingF32}, blob: encodeVector(encodingF32, vec)})
	f := p.next()
	if f.kind != frameAverage {
		p.t.Fatalf("got frame %d (%s), want the average", f.kind, f.Reason)
	}
	if err := decodeVector(encodingF32, f.blob, vec); err != nil {
		p.t.Fatal(err)
	}
	outerStep(tr.cfg.DiLoCo.OuterLR, tr.s.base, tr.s.momentum, vec)
	copy(tr.s.params, tr.s.base)
	tr.s.Outer++
	tr.s.Step += int64(tr.cfg.DiLoCo.InnerSteps)
	return f
}

// outerState is the DiLoCo state in a checkpoint folder.
func outerState(t *testing.T, dir string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, outerName(0)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestJoinersTakeTheStateOfARunningWorker(t *testing.T) {
	t.Parallel()
	for _, source := range []int{0, 1, 7} { // there is no 7: worker 0 helps out
		t.Run(fmt.Sprintf("from rank %d", source), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c := newCluster(t, tiny(60, diloco10+fmt.Sprintf("[ckpt]\npath = %q\ninterval = 60\n", dir)), 2)
			lead := c.start(0, "a")
			by, tr := c.hello(1, "b")
			if f := by.next(); f.kind != frameStart || f.HasState {
				t.Fatalf("the first member got frame %d, state %v", f.kind, f.HasState)
			}
			late := c.start(2, "c", "--ckpt.live_recovery_rank_src", fmt.Sprint(source))
			late.sees("[INFO] [Rank 0] Waiting to join\n") // the outer step cannot end before worker 1 is ready
			f := by.round(tr, 0)
			if source == 1 {
				if len(f.SendTo) != 1 || f.SendTo[0] != 2 {
					t.Fatalf("worker 1 is asked to send its state to %v, want to rank 2", f.SendTo)
				}
				b, err := tr.s.snapshot()
				if err != nil {
					t.Fatal(err)
				}
				by.send(frame{kind: frameState, blob: b})
			} else {
				lead.sees("[INFO] [Rank 0] Start live recovery to rank 2\n")
			}
			late.sees(fmt.Sprintf("[INFO] [Rank 0] Start live recovery from rank %d\n", source))
			late.sees("[INFO] [Rank 0] live recovery done in ")
			by.send(frame{kind: frameBye, header: header{Reason: "done"}})
			lead.mustEnd(0)
			late.mustEnd(0)
			if l := late.losses(); len(l) != 50 || l[11] == 0 {
				t.Errorf("the joiner reported %d steps, want 50 from step 11", len(l))
			}
			late.sees("diloco_peers: 3\n")
			step := filepath.Join(dir, "step_60")
			if string(outerState(t, step)) != string(outerState(t, workerDir(step, 2))) {
				t.Error("joiner and worker 0 ended with different models")
			}
		})
	}
}

func TestSilentWorkersAreEvicted(t *testing.T) {
	t.Parallel()
	c := newCluster(t, tiny(20, diloco10), 2)
	c.timing.heartbeatTimeout = 300 * time.Millisecond
	lead := c.start(0, "a")
	by, _ := c.hello(1, "b")
	by.next()
	lead.mustEnd(0) // without a word from worker 1
	lead.sees("[WARNING] [Rank 0] Node b has no heartbeat\n")
	lead.sees("[INFO] [Rank 0] Evicting nodes: ['b']\n")
}

func TestHungWorkersAreEvictedAtTheBarrier(t *testing.T) {
	t.Parallel()
	c := newCluster(t, tiny(20, diloco10), 2)
	c.timing.barrier = 300 * time.Millisecond
	c.env = map[string]string{"COTRAIN_TRAINER_FAULT": "hang@3:1"} // its heartbeats go on
	ws := c.all()
	ws[0].mustEnd(0)
	ws[0].sees("[ERROR] [Rank 0] Monitored barrier failed due to timeout\n")
	ws[0].sees("[INFO] [Rank 0] Evicting nodes: ['w1']\n")
}

func TestWithoutWorker0TheOthersFail(t *testing.T) {
	t.Parallel()
	for _, more := range []string{diloco10, ""} {
		c := newCluster(t, tiny(40, more), 3)
		c.env = map[string]string{"COTRAIN_TRAINER_FAULT": "exit1@15:0"}
		ws := c.all()
		ws[0].mustEnd(1)
		for _, w := range ws[1:] {
			w.mustEnd(1)
			w.sees("[INFO] [Rank 0] Caught an exception, terminating children\n")
			w.sees("[INFO] [Rank 0] worker 0 is gone: ")
		}
	}
}

func TestWithoutDiLoCoALostWorkerEndsTheRun(t *testing.T) {
	t.Parallel()
	c := newCluster(t, tiny(40, ""), 3)
	c.env = map[string]string{"COTRAIN_TRAINER_FAULT": "exit1@15:1"}
	for _, w := range c.all() {
		w.mustEnd(1)
		w.sees("Caught an exception, terminating children")
	}
}

func TestAStopOfWorker0KeepsTheOthersPlaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := newCluster(t, tiny(40, fmt.Sprintf("[diloco]\ninner_steps = 20\n[ckpt]\npath = %q\ninterval = 20\n", dir)), 2)
	c.env = map[string]string{"COTRAIN_TRAINER_FAULT": "hang@5:0"}
	ws := c.all()
	ws[0].sees("step: 5,")
	ws[1].sees("step: 20,") // and now it waits for worker 0
	ws[0].stop()
	ws[0].mustEnd(143)
	ws[1].mustEnd(1) // nobody stopped it
	ws[1].sees("worker 0 was asked to stop")
	for _, name := range []string{"step_5", "step_20/diloco_1"} {
		if _, err := readMetadata(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := readMetadata(filepath.Join(dir, "step_20")); !errors.Is(err, errIncomplete) {
		t.Errorf("step_20 without worker 0's part: error %v, want errIncomplete", err)
	}
}

func TestTheRunGoesOnWithThoseWhoCame(t *testing.T) {
	t.Parallel()
	c := newCluster(t, tiny(20, diloco10), 3)
	c.timing.join = 300 * time.Millisecond
	lead := c.start(0, "a")
	lead.mustEnd(0)
	lead.sees("[WARNING] [Rank 0] 1 of 3 workers came within 300ms: going on with them\n")
	alone := newCluster(t, tiny(20, ""), 3)
	alone.timing.join = 300 * time.Millisecond
	w := alone.start(0, "a")
	w.mustEnd(1)
	w.sees("1 of 3 workers came within 300ms, and without diloco every worker is needed")
}

func TestWorkersGiveUpWithoutWorker0(t *testing.T) {
	t.Parallel()
	c := newCluster(t, tiny(20, diloco10), 2)
	c.timing.join = 300 * time.Millisecond
	_ = c.ln.Close()
	w := c.start(1, "b")
	w.mustEnd(1)
	w.sees("no worker 0 at " + c.ln.Addr().String() + " within 300ms")
}

func TestAPortInUseIsSaid(t *testing.T) {
	t.Parallel()
	c := newCluster(t, tiny(20, diloco10), 1)
	host, port, err := net.SplitHostPort(c.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"GLOBAL_ADDR": host, "GLOBAL_PORT": port}
	w := launch(t, process{args: []string{"@" + c.config}, env: func(k string) string { return env[k] }, timing: quickTiming()})
	w.mustEnd(1)
	w.sees("listen for workers at " + c.ln.Addr().String() + " (GLOBAL_ADDR:GLOBAL_PORT)")
	w.sees("address already in use")
}

func TestWorkersOfAnotherRunAreRefused(t *testing.T) {
	t.Parallel()
	c := newCluster(t, tiny(20, diloco10), 2)
	lead := c.start(0, "a")
	other := c.start(1, "b", "--diloco.outer_lr", "0.1")
	other.mustEnd(1)
	other.sees("its configuration or text is not the same as worker 0's")
	lead.sees("[WARNING] [Rank 0] refused a worker from ")
	twin := c.start(1, "a")
	twin.mustEnd(1)
	twin.sees("a worker with the GLOBAL_UNIQUE_ID a takes part already")
	c.start(1, "c").mustEnd(0)
	lead.mustEnd(0)
}

func TestGarbageFromPeersHarmsNobody(t *testing.T) {
	t.Parallel()
	c := newCluster(t, tiny(20, diloco10), 2)
	lead := c.start(0, "a")
	for _, junk := range []string{
		"GET / HTTP/1.1\r\n\r\n", "", "CTW1", "CTW1\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
		strings.Repeat("\x00", 1<<16), string(mustEncode(t, frame{kind: frameHello, header: header{Protocol: 99}})),
		string(mustEncode(t, frame{kind: frameVector})), string(mustEncode(t, frame{kind: frameHello, header: header{Protocol: 1, ID: "x\ny"}})),
	} {
		conn := dial(t, c.ln.Addr()).conn
		_, _ = io.WriteString(conn, junk) // it may be cut off in the middle
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
		_, _ = io.Copy(io.Discard, conn) // until worker 0 hangs up
	}
	by, tr := c.hello(1, "b")
	by.next()
	bad := make([]float64, len(tr.s.params))
	bad[3] = math.NaN()
	by.send(frame{kind: frameVector, header: header{Round: 0, Encoding: encodingF32}, blob: encodeVector(encodingF32, bad)})
	if f := by.next(); f.kind != frameShutdown || !strings.Contains(f.Reason, "not finite") {
		t.Errorf("a NaN was answered with frame %d, %q", f.kind, f.Reason)
	}
	lead.mustEnd(0)
	lead.sees("Evicting nodes: ['b']")
	if l := lead.losses(); math.IsNaN(l[20]) || len(l) != 20 {
		t.Errorf("losses %v", l)
	}
}

func TestMembersThatBreakTheProtocolAreEvicted(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]frame{
		"a vector of the wrong round": {kind: frameVector, header: header{Round: 5, Encoding: encodingF32}},
		"a vector that is too short":  {kind: frameVector, header: header{Encoding: encodingF32}, blob: []byte("abcd")},
		"another encoding":            {kind: frameVector, header: header{Encoding: encodingF64}},
		"an average":                  {kind: frameAverage},
		"a second hello":              {kind: frameHello},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, tiny(20, diloco10), 2)
			lead := c.start(0, "a")
			by, _ := c.hello(1, "b")
			by.next()
			by.send(f)
			lead.mustEnd(0)
			lead.sees("Evicting nodes: ['b']")
		})
	}
}

func TestFloodsOfMessagesAreCutOff(t *testing.T) {
	t.Parallel()
	c := newCluster(t, tiny(20, diloco10), 2)
	lead := c.start(0, "a")
	by, _ := c.hello(1, "b")
	by.next()
	b := mustEncode(t, frame{kind: frameState})
	for err := error(nil); err == nil; {
		_, err = by.conn.Write(b)
	}
	lead.mustEnd(0)
}

func TestAWorkerThatComesAfterTheEndIsFinished(t *testing.T) {
	t.Parallel()
	c := newCluster(t, tiny(10, diloco10), 2)
	lead := c.start(0, "a")
	by, tr := c.hello(1, "b")
	by.next()
	late := c.start(2, "c")
	late.sees("Waiting to join")
	by.round(tr, 0) // the last one: nobody is admitted any more
	late.mustEnd(0)
	late.sees("Training finished, exiting ...")
	by.send(frame{kind: frameBye})
	lead.mustEnd(0)
}

func TestAStopInterruptsEveryWait(t *testing.T) {
	t.Parallel()
	c := newCluster(t, tiny(20, diloco10), 3)
	lead, waiting := c.start(0, "a"), c.start(1, "b") // worker 2 never comes
	lead.sees("Number of parameters")
	waiting.sees("Number of parameters")
	waiting.stop()
	waiting.mustEnd(143)
	lead.stop()
	lead.mustEnd(143)
	paced := newCluster(t, tiny(20, ""), 1)
	paced.env = map[string]string{"COTRAIN_TRAINER_PACE": "1h"}
	w := paced.all()[0]
	w.sees("Number of parameters")
	w.stop()
	w.mustEnd(143)
	if strings.Contains(w.err.String(), "step: 1,") {
		t.Error("a step was reported before its pace had passed")
	}
}
