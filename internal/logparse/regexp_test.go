package logparse

import (
	"regexp"
	"strconv"

	"github.com/cotrain/cotrain/internal/run"
)

// regexpParser does with regular expressions, as one would write them in Go, what Parser does for the kinds of line
// in the corpus. It is the baseline of the benchmark, and a second opinion in a test.
type regexpParser struct {
	escape, head, step, pair, machine, member *regexp.Regexp
	events                                    []regexpEvent
}

type regexpEvent struct {
	re    *regexp.Regexp // groups: number, path, step
	name  string
	field string
}

func newRegexpParser() *regexpParser {
	const number = `[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|nan|inf|-inf`
	event := func(name, field, expr string) regexpEvent {
		return regexpEvent{regexp.MustCompile("^" + expr + "$"), name, field}
	}
	return &regexpParser{
		escape:  regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]`),
		head:    regexp.MustCompile(`\[(DEBUG|INFO|WARNING|ERROR|CRITICAL)\] (?:\[[\w-]+\] )?\[Rank \d+\] (.*)$`),
		step:    regexp.MustCompile(`^step: (\d+), `),
		pair:    regexp.MustCompile(`([A-Za-z_][\w./-]*): (` + number + `)(?:, |$)`),
		machine: regexp.MustCompile(`^COTRAIN \{.*"kind":\s*"(metrics|system|event)".*\}$`),
		member:  regexp.MustCompile(`"((?:[^"\\]|\\.)*)":\s*("(?:[^"\\]|\\.)*"|NaN|-?Infinity|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)`),
		events: []regexpEvent{
			event(OuterStep, "outer_step", `outer_step step: (?P<n>\d+)`),
			event(SyncDone, "seconds", `Sync ps(?:ue|eu)do-gradient in (?P<n>`+number+`) seconds`),
			event(AllReduceDone, "seconds", `all reduce pseudo gradient in: (?P<n>`+number+`) seconds`),
			event(CheckpointSaved, "seconds", `Saved checkpoint to (?P<path>.+?/step_(?P<step>\d+)) in (?P<n>`+number+`) seconds`),
			event(CheckpointLoaded, "seconds", `Loaded checkpoint from (?P<path>.+?/step_(?P<step>\d+)) in (?P<n>`+number+`) seconds`),
			event(MeshReady, "peers", `Elastic Device mesh init done with (?P<n>\d+) peers in .*`),
			event(Parameters, "parameters", `Number of parameters: (?P<n>\d+)`),
			event(OuterStepDone, "mfu", `effective mfu: (?P<n>`+number+`)`),
			event(WaitingToJoin, "", `Waiting to join`),
			event(GroupDestroyed, "", `Destroyed process group`),
			event(Fatal, "", `Caught an exception, terminating children`),
			event(Finished, "", `Training finished, exiting.*`),
		},
	}
}

func (p *regexpParser) line(line []byte) Result {
	line = p.escape.ReplaceAll(line, nil)
	if m := p.machine.FindSubmatch(line); m != nil && string(m[1]) == "metrics" {
		return p.machineSample(line)
	}
	if m := p.head.FindSubmatch(line); m != nil {
		if string(m[1]) == "DEBUG" {
			return Result{}
		}
		line = m[2]
	}
	if m := p.step.FindSubmatch(line); m != nil {
		return p.stepSample(line, m[1])
	}
	return p.event(line)
}

func (p *regexpParser) stepSample(line, step []byte) Result {
	s := run.Sample{HasStep: true}
	s.Step, _ = strconv.ParseInt(string(step), 10, 64) // the expression admits digits only
	for _, m := range p.pair.FindAllSubmatch(line, -1) {
		if string(m[1]) == "step" {
			continue
		}
		v, _ := strconv.ParseFloat(string(m[2]), 64)
		s.Metrics = append(s.Metrics, run.Metric{Name: baselineName(m[1]), Value: v})
	}
	return Result{Kind: KindSample, Sample: s}
}

func (p *regexpParser) machineSample(line []byte) Result {
	s := run.Sample{Exact: true}
	for _, m := range p.member.FindAllSubmatch(line, -1) {
		v, err := strconv.ParseFloat(string(m[2]), 64)
		switch {
		case err != nil || string(m[1]) == "v":
		case string(m[1]) == "step":
			s.Step, s.HasStep = int64(v), true
		default:
			s.Metrics = append(s.Metrics, run.Metric{Name: baselineName(m[1]), Value: v})
		}
	}
	return Result{Kind: KindSample, Sample: s}
}

func (p *regexpParser) event(line []byte) Result {
	for _, e := range p.events {
		m := e.re.FindSubmatch(line)
		if m == nil {
			continue
		}
		res := Result{Kind: KindEvent, Event: Event{Name: e.name, Level: levelOf(e.name), text: line}}
		for i, group := range e.re.SubexpNames() {
			switch group {
			case "n":
				v, _ := strconv.ParseFloat(string(m[i]), 64)
				res.Event.Metrics = []run.Metric{{Name: e.field, Value: v}}
			case "path":
				res.Event.path = m[i]
			case "step":
				res.Event.Step, _ = strconv.ParseInt(string(m[i]), 10, 64)
				res.Event.HasStep = true
			}
		}
		return res
	}
	return Result{}
}

func baselineName(key []byte) string {
	if s := canonical(key); s != "" {
		return s
	}
	return string(key)
}
