package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

func TestEventsArePrintedOldestFirst(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	id := c.Add(run.Run{State: run.Running})
	c.cotrain("run", "events", string(id)).want(t, exitDone)
	at := c.now.Local().Format("2006-01-02 15:04:05")
	c.AddEvents(id,
		run.Event{At: c.now, Kind: "state", To: run.Queued, Rank: -1, Actor: "local"},
		run.Event{At: c.now, Kind: "checkpoint_saved", Rank: 2, Level: "warning", Message: "step 20,\n late"},
		run.Event{At: c.now, Kind: "note", Rank: -1, Message: "\x1b[31mred"})
	lines := []string{at + "  queued  (by local)\n", at + "  checkpoint saved (warning)  worker 2  step 20, late\n", at + "  note  \x1b[31mred\n"}
	for args, want := range map[string]string{"": strings.Join(lines, ""), "--tail 2": lines[1] + lines[2], "--tail 99": strings.Join(lines, "")} {
		if r := c.cotrain(append([]string{"run", "events", string(id)}, strings.Fields(args)...)...).want(t, exitDone); r.out != want {
			t.Errorf("%s: %q, want %q", args, r.out, want)
		}
	}
	if ev := fromJSON[run.Event](t, c.cotrain("run", "events", string(id), "--tail", "1", "--format", "json").want(t, exitDone)); ev.Seq != 3 || ev.Message != "\x1b[31mred" {
		t.Errorf("%+v", ev)
	}
	c.terminal = true
	if r := c.cotrain("run", "events", string(id)).want(t, exitDone, `\x1b[31mred`); strings.Contains(r.out, "\x1b") {
		t.Errorf("a terminal gets %q", r.out)
	}
	c.cotrain("run", "events", string(id), "--tail", "0").want(t, exitUsage, "--tail")
	c.cotrain("run", "events", "r-0000000000").want(t, exitNotFound)
}

func TestManyEventsAreReadInPages(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	id := c.Add(run.Run{State: run.Running})
	for i := range 2*eventsPage + 3 {
		c.AddEvents(id, run.Event{At: c.now, Kind: "note", Rank: -1, Message: fmt.Sprint("number ", i)})
	}
	r := c.cotrain("run", "events", string(id)).want(t, exitDone)
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	for i, line := range lines {
		if !strings.HasSuffix(line, fmt.Sprint("  number ", i)) {
			t.Fatalf("line %d is %q", i, line)
		}
	}
	if len(lines) != 2*eventsPage+3 {
		t.Errorf("%d lines", len(lines))
	}
}
