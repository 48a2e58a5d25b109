package ingest

import (
	"strings"

	"github.com/cotrain/cotrain/internal/logparse"
	"github.com/cotrain/cotrain/internal/run"
)

// feel takes the pulse of a sample at a step.
func (r *lineReader) feel(res logparse.Result, step int64, system bool) {
	if system {
		return
	}
	p := &r.pulse
	p.Step = max(p.Step, step)
	if p.Began {
		p.Step = step
	}
	for _, m := range res.Sample.Metrics {
		switch {
		case m.Name == "time" && res.Sample.Exact && res.Sample.HasStep:
			if len(p.Clocks) < run.MaxClocks {
				p.Clocks = append(p.Clocks, run.StepClock{Step: step, At: m.Value})
			}
		case m.Name == "num_peers":
			p.Peers = peers(m.Value)
		case isEvaluation(m.Name):
			p.Evaluated = true
		}
	}
}

// hear takes the pulse of an event.
func (r *lineReader) hear(ev logparse.Event) {
	switch ev.Name {
	case logparse.OuterStepDone, logparse.AllReduceDone: // also of one that failed
		r.pulse.Synced = true
	case logparse.SyncDone:
		r.pulse.Synced, r.pulse.Joined, r.pulse.SyncFailed = true, true, false
	case logparse.SyncFailed:
		r.pulse.SyncFailed, r.pulse.Joined = true, false
	case logparse.CheckpointSaved:
		r.pulse.Saved = true
	case logparse.MeshReady, logparse.MeshSize:
		if n, ok := ev.Value("peers"); ok {
			r.pulse.Peers = peers(n)
		}
	}
}

// peers is a number of workers as a log tells it, 0 for none that can be.
func peers(n float64) int {
	const most = 1 << 20
	if !(n >= 1 && n <= most) {
		return 0
	}
	return int(n)
}

func isEvaluation(metric string) bool {
	return strings.HasPrefix(metric, "val_") || strings.HasPrefix(metric, "eval_") || strings.HasPrefix(metric, "val/") || strings.HasPrefix(metric, "eval/")
}

func hasLoss(ms []run.Metric) bool {
	for _, m := range ms {
		if m.Name == "loss" {
			return true
		}
	}
	return false
}

// ofDay reads the time of day at the beginning of a line, as CotrainCore prints it: "15:04:05 [".
func ofDay(line []byte) (seconds int, ok bool) {
	const form = "00:00:00 ["
	if len(line) < len(form) {
		return 0, false
	}
	for i, c := range []byte(form) {
		if c == '0' && (line[i] < '0' || line[i] > '9') || c != '0' && line[i] != c {
			return 0, false
		}
	}
	two := func(at int) int { return int(line[at]-'0')*10 + int(line[at+1]-'0') }
	h, m, s := two(0), two(3), two(6)
	return h*3600 + m*60 + s, h < 24 && m < 60 && s < 60
}
