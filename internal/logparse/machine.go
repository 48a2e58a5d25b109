package logparse

import (
	"bytes"

	"github.com/cotrain/cotrain/internal/run"
)

var machineMark = []byte(run.MachineMark)

// field is a number of a machine line by printed name.
type field struct {
	key   []byte
	value float64
}

// machine is a machine line before validation.
type machine struct {
	version    float64
	kind, name []byte
	step       float64
	hasStep    bool
	path, text []byte
	level      []byte
}

// machineLine reads "COTRAIN {json}", normally the whole line. After another process' truncated record it starts in the
// middle, but must reach the end, unlike a quotation.
func (p *Parser) machineLine(line []byte) (Result, bool) {
	if bytes.IndexByte(line, '{') < 0 {
		return Result{}, false // almost always, so use the fastest search
	}
	i := bytes.Index(line, machineMark)
	if i < 0 {
		return Result{}, false
	}
	if i > 0 {
		if rec := findRecord(line[:i]); rec.found && rec.debug && len(rec.msg) == 0 {
			return Result{}, true // logged at DEBUG: for developers
		}
	}
	if res, ok := p.machineRecord(line[i+len(machineMark)-1:]); ok {
		return res, true
	}
	if last := bytes.LastIndex(line, machineMark); last > i {
		return p.machineRecord(line[last+len(machineMark)-1:])
	}
	return Result{}, false
}

// machineRecord reads one JSON object that must end where b ends.
func (p *Parser) machineRecord(b []byte) (res Result, ok bool) {
	p.fields, p.text = p.fields[:0], p.text[:0]
	m, ok := p.scanMachine(b)
	if !ok {
		return Result{}, false
	}
	if m.version != 1 {
		return Result{}, true
	}
	switch string(m.kind) {
	case "metrics":
		return p.machineSample(m), true
	case "system":
		for _, f := range p.fields {
			p.add(p.names.systemMetric(f.key), f.value)
		}
		if len(p.metrics) == 0 {
			return Result{}, true
		}
		return Result{Kind: KindSample, Sample: run.Sample{Exact: true, Metrics: p.metrics}, Format: CotrainCore}, true
	case "event":
		return p.machineEvent(m), true
	}
	return Result{}, true
}

func (p *Parser) machineSample(m machine) Result {
	s := run.Sample{Exact: true}
	if m.hasStep {
		step, ok := wholeStep(m.step)
		if !ok {
			return Result{}
		}
		s.Step, s.HasStep = step, true
	}
	for _, f := range p.fields {
		p.set(p.names.metric(f.key), f.value)
	}
	if !s.HasStep && len(p.metrics) == 0 {
		return Result{}
	}
	s.Metrics = p.metrics
	p.State.Format = CotrainCore
	return Result{Kind: KindSample, Sample: s, Format: CotrainCore}
}

// set sets a metric; the last of a name counts, as in JSON.
func (p *Parser) set(name string, value float64) {
	for i := range p.metrics {
		if p.metrics[i].Name == name {
			p.metrics[i].Value = value
			return
		}
	}
	p.add(name, value)
}

func (p *Parser) machineEvent(m machine) Result {
	if !validEventName(m.name) {
		return Result{}
	}
	for _, f := range p.fields {
		p.set(p.names.raw(f.key), f.value)
	}
	res := p.event(p.names.raw(m.name), m.text)
	res.Event.path = m.path
	if m.hasStep {
		res.Event.Step, res.Event.HasStep = wholeStep(m.step)
	}
	switch string(m.level) {
	case "info":
		res.Event.Level = Info
	case "warning":
		res.Event.Level = Warning
	case "error":
		res.Event.Level = Error
	}
	return res
}

func validEventName(b []byte) bool {
	if len(b) == 0 || len(b) > 64 {
		return false
	}
	for _, c := range b {
		if (c < 'a' || c > 'z') && !isDigit(c) && c != '_' {
			return false
		}
	}
	return true
}

func (p *Parser) member(m *machine, key []byte, v value) {
	switch string(key) {
	case "v":
		m.version = v.number // 0 unless a number
		return
	case "kind":
		m.kind = v.text
		return
	case "step":
		m.step, m.hasStep = v.number, v.kind == numberValue
		return
	}
	switch v.kind {
	case numberValue:
		p.keep(key, v.number)
	case stringValue:
		switch string(key) {
		case "name":
			m.name = v.text
		case "path":
			m.path = v.text
		case "message":
			m.text = v.text
		case "level":
			m.level = v.text
		default:
			// How strict JSON writes these three; other strings are no measurements.
			if n, ok := nonFiniteString(v.text); ok {
				p.keep(key, n)
			}
		}
	}
}

func (p *Parser) keep(key []byte, number float64) {
	if len(p.fields) < MaxMetrics && validName(key) {
		p.fields = append(p.fields, field{key, number})
	}
}

func nonFiniteString(b []byte) (float64, bool) {
	switch string(b) {
	case "NaN", "Infinity", "-Infinity":
		return parseNonFinite(b)
	}
	return 0, false
}
