package cli

import (
	"context"
	"time"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

// progressEvery is the least time between two lines about the progress of a run whose state stays the same.
const progressEvery = 2 * time.Second

// event is one line of JSON of a run that is followed.
type event struct {
	Type string       `json:"type"` // run, at each change; log
	Run  *run.Run     `json:"run,omitempty"`
	Log  *run.LogLine `json:"log,omitempty"`
}

// followRun prints the run until it ends: its log without the lines for machines, each state, and how far it is. On a
// terminal the last of these is one line at the bottom.
func (p *process) followRun(ctx context.Context, cl *client.Client, format string, patience time.Duration, r run.Run) error {
	asJSON := format == "json"
	live := p.terminal && !asJSON
	var said run.Run
	var at time.Time
	look := func(r run.Run) error {
		changed, fresh := r.State != said.State || r.Reason != said.Reason, r.Progress != said.Progress
		switch {
		case changed, live && r.Progress.Step > 0 && (fresh || p.live == ""), !live && fresh && p.now().Sub(at) >= progressEvery:
		default:
			return nil
		}
		said, at = r, p.now()
		switch {
		case asJSON:
			return p.printJSON(event{Type: "run", Run: &r})
		case live && !changed:
			return p.setLive(p.progress(r))
		}
		if err := p.endLive(); err != nil {
			return err
		}
		return p.print("== %s\n", p.text(p.progress(r)))
	}
	line := func(l run.LogLine) error {
		if asJSON {
			return p.printJSON(event{Type: "log", Log: &l})
		}
		if machineLine(l.Text) {
			return nil
		}
		if err := p.endLive(); err != nil {
			return err
		}
		return p.printLine(l, -1)
	}
	if !asJSON {
		if err := p.print("== run %s\n", r.ID); err != nil {
			return err
		}
	}
	if err := look(r); err != nil {
		return err
	}
	f := follower{p: p, c: cl, id: r.ID, worker: -1, patience: patience, line: line, look: look}
	end, err := f.follow(ctx)
	if gone := p.endLive(); err == nil {
		err = gone
	}
	switch {
	case err != nil && ctx.Err() != nil:
		p.say("run %s goes on; \"cotrain run stop %s\" ends it", r.ID, r.ID)
		return err
	case err != nil:
		return err
	case end.State != run.Succeeded:
		p.say("run %s has %s%s", r.ID, ended(end), because(end.Reason))
		return errQuiet
	}
	return nil
}

func ended(r run.Run) string {
	if r.State == run.Stopped {
		return "been stopped"
	}
	return string(r.State)
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
