package logparse

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEveryMessageOfCotrainCore(t *testing.T) {
	t.Parallel()
	checkLines(t, []lineTest{
		{"outer step", head + "outer_step step: 3", "info outer_step outer_step=3"},
		{"effective mfu", head + "effective mfu: 34.2", "info outer_step_done mfu=34.2"},
		{"sync", head + "Sync psuedo-gradient in 1.234567 seconds", "info sync_done seconds=1.234567"},
		{"sync, spelt well", head + "Sync pseudo-gradient in 1.234567 seconds", "info sync_done seconds=1.234567"},
		{"all-reduce", head + "all reduce pseudo gradient in: 1.2 seconds", "info all_reduce_done seconds=1.2"},
		{"sync error", "05:10:00 [ERROR] [Rank 0] Error syncing pseudo gradient: x, retry 9, retry 1/3", "warning sync_error retry=1 retries=3"},
		{"first line of a long sync error", "05:10:00 [ERROR] [Rank 0] Error syncing pseudo gradient: CUDA error: unknown", "warning sync_error"},
		{"sync failed", "05:10:00 [ERROR] [Rank 0] Failed to sync pseudo gradient after 3 retries. Resorting to calculating pseudo-gradient without reduce", "error sync_failed retries=3"},
		{"mesh ready", head + "Elastic Device mesh init done with 2 peers in 0.05 seconds", "info mesh_ready peers=2 seconds=0.05"},
		{"group sizes", head + "global_pg size : 2, local_pg size: 8", "info mesh_size peers=2 local_peers=8"},
		{"waiting to join", head + "Waiting to join", "info waiting_to_join"},
		{"recovery, sender", head + "Start live recovery to rank 2", "info recovery_started to_rank=2"},
		{"recovery, receiver", head + "Start live recovery from rank 0", "info recovery_started from_rank=0"},
		{"recovery done", head + "live recovery done in 3.100000", "info recovery_done seconds=3.1"},
		{"eviction", head + "Evicting nodes: [2, 4]", "warning evicted count=2"},
		{"eviction of nobody", head + "Evicting nodes: []", ""},
		{"group destroyed", head + "Destroyed process group", "info group_destroyed"},
		{"heartbeat", "11:10:12 [WARNING] [Rank 0] Node B7 has no heartbeat", "warning heartbeat_lost"},
		{"barrier", "05:10:00 [ERROR] [Rank 0] Monitored barrier failed due to timeout", "warning barrier_failed"},
		{"checkpoint saved", head + "Saved checkpoint to /data/a in b/step_100 in 3.2 seconds", "info checkpoint_saved 100 seconds=3.2 path=/data/a in b/step_100"},
		{"checkpoint saved, cut", head + "Saved checkpoint to /data/ck", ""},
		{"checkpoint loaded", head + "Loaded checkpoint from /data/run/ckpt/step_100/ in 8.113 seconds", "info checkpoint_loaded 100 seconds=8.113 path=/data/run/ckpt/step_100/"},
		{"checkpoint loaded from elsewhere", head + "Loaded checkpoint from s3://b/best in 8.113 seconds", "info checkpoint_loaded seconds=8.113 path=s3://b/best"},
		{"push started", head + "start pushing /a/step_5 to s3://b/step_5 asynchronously", "info push_started 5 path=/a/step_5"},
		{"push finished", head + "finish pushing /a/step_5 to s3://b/step_5 in 9 seconds", "info push_finished 5 seconds=9 path=/a/step_5"},
		{"push failed", "05:10:00 [ERROR] [Rank 0] Error pushing /a/step_5 to s3://b/step_5: no such bucket", "error push_failed 5 path=/a/step_5"},
		{"parameters", head + "Number of parameters: 1967360", "info parameters parameters=1.96736e+06"},
		{"peak FLOPS", head + "Peak FLOPS used for computing MFU: 3.120e+14", "info peak_flops flops=3.12e+14"},
		{"fatal", head + "Caught an exception, terminating children", "error fatal"},
		{"finished", head + "Training finished, exiting ...", "info finished"},
		{"events need a head", "Training finished, exiting ...", ""},
		{"events are not taken at DEBUG", "03:22:58 [DEBUG] [Rank 0] Waiting to join", ""},
		{"a message that only begins alike", head + "Waiting to join the party", ""},
		{"a number that is none", head + "Number of parameters: many", ""},
	})
}

func TestFinishAfterAPushErrorIsNoSuccess(t *testing.T) {
	t.Parallel()
	lines := []struct{ line, want string }{
		{"start pushing /a/step_5 to s3://b/x asynchronously", "info push_started 5 path=/a/step_5"},
		{"start pushing /a/step_6 to s3://b/x: y asynchronously", "info push_started 6 path=/a/step_6"},
		{"Error pushing /a/step_6 to s3://b/x: y: denied: no", "error push_failed 6 path=/a/step_6"},
		{"finish pushing /a/step_5 to s3://b/x in 9.5 seconds", "info push_finished 5 seconds=9.5 path=/a/step_5"},
		{"finish pushing /a/step_6 to s3://b/x: y in 9.5 seconds", ""},
		{"start pushing /a/step_6 to s3://b/x: y asynchronously", "info push_started 6 path=/a/step_6"},
		{"finish pushing /a/step_6 to s3://b/x: y in 1 seconds", "info push_finished 6 seconds=1 path=/a/step_6"},
		{"Error pushing /a/step_7 to s3://b/x: its start was not seen", "error push_failed 7 path=/a/step_7"},
		{"finish pushing /a/step_7 to s3://b/x in 1 seconds", ""},
		{"Error pushing /a/step_8 to s3://b/x:", "error push_failed 8 path=/a/step_8"},
		{"finish pushing /a/step_8 to s3://b/x in 1 seconds", ""},
	}
	var state State
	for _, l := range lines {
		p := Parser{State: state} // a new parser for each line, as after a restart
		if got := say(p.Line([]byte(head + l.line))); got != l.want {
			t.Errorf("%q\n got %q\nwant %q", l.line, got, l.want)
		}
		state = throughJSON(t, p.State)
	}
	if state != (State{}) {
		t.Errorf("state is left: %+v", state)
	}
}

func throughJSON(t *testing.T, s State) State {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var out State
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	if out != s {
		t.Fatalf("state %+v came back as %+v through %s", s, out, b)
	}
	return out
}

func TestOverlappingPushesForgetTheOldestFirst(t *testing.T) {
	t.Parallel()
	var p Pushes
	for key := uint64(1); key <= 6; key++ {
		p.start(key)
		p.fail(key)
	}
	for key, want := range map[uint64]bool{1: false, 2: false, 3: true, 4: true, 5: true, 6: true} {
		if got := p.end(key); got != want {
			t.Errorf("push %d failed: %v, want %v", key, got, want)
		}
	}
	if p != (Pushes{}) {
		t.Errorf("left: %v", p)
	}
}

func TestTheExceptionAfterTheAnnouncementIsReported(t *testing.T) {
	t.Parallel()
	p := Parser{}
	for _, l := range []struct{ line, want, message string }{
		{head + "Caught an exception, terminating children", "error fatal", "Caught an exception, terminating children"},
		{"03:22:58 [DEBUG] [Rank 0] something else", "", ""},
		{head + "step: 12, loss: 4.5", "sample 12 loss=4.5", ""},
		{head + "[tcp/pair.cc:534] Connection closed by peer [10.0.0.3]:38032", "error fatal_error", "[tcp/pair.cc:534] Connection closed by peer [10.0.0.3]:38032"},
		{head + "Something later", "", ""},
	} {
		p = Parser{State: throughJSON(t, p.State)}
		res := p.Line([]byte(l.line))
		if got := say(res); got != l.want {
			t.Errorf("%q\n got %q\nwant %q", l.line, got, l.want)
		}
		if res.Kind == KindEvent && res.Event.Message() != l.message {
			t.Errorf("message %q, want %q", res.Event.Message(), l.message)
		}
	}
}

func TestAnExceptionThatLooksLikePairsBringsNoNumbers(t *testing.T) {
	t.Parallel()
	p := Parser{State: State{Caught: true}}
	if got := say(p.Line([]byte(head + "ValueError: 5, loss: 3, step: x"))); got != "error fatal_error" {
		t.Errorf("got %q", got)
	}
}

func TestMessagesAndPathsAreBoundedAndPrintable(t *testing.T) {
	t.Parallel()
	var p Parser
	res := p.Line([]byte("05:10:00 [ERROR] [Rank 0] Error syncing pseudo gradient: a\tb\x07\xff\u0085 " + strings.Repeat("é", MaxMessage)))
	m := res.Event.Message()
	if !strings.HasPrefix(m, "Error syncing pseudo gradient: a b \ufffd  é") || !utf8.ValidString(m) || len(m) > MaxMessage || len(m) < MaxMessage-3 {
		t.Errorf("message of %d bytes: %q", len(m), m)
	}
	for _, path := range []string{strings.Repeat("p", MaxPath+1), "/a\xff", "/a\tb", "/a\u0085"} {
		res = p.Line([]byte(head + "Saved checkpoint to " + path + " in 1 seconds"))
		if res.Event.Name != CheckpointSaved || res.Event.Path() != "" {
			t.Errorf("path %q gives %q", path, say(res))
		}
	}
	res = p.Line([]byte(`COTRAIN {"v":1,"kind":"event","name":"checkpoint_saved","step":7,"path":"/a/step_7","seconds":1.5}`))
	if got := res.Event.Message(); got != "checkpoint saved, step 7, /a/step_7, seconds 1.5" {
		t.Errorf("message of a machine line: %q", got)
	}
	if v, ok := res.Event.Value("seconds"); !ok || v != 1.5 {
		t.Errorf("seconds = %v %v", v, ok)
	}
	if _, ok := res.Event.Value("peers"); ok {
		t.Error("a number that the event lacks was found")
	}
}
