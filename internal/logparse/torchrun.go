package logparse

import (
	"bytes"
	"fmt"
)

// root is where a parser is in the block with which torchrun ends when one of its processes has failed:
//
//	Root Cause (first observed failure):
//	[0]:
//	  time      : 2026-01-02_03:04:05
//	  host      : node-1
//	  rank      : 1 (local_rank: 1)
//	  exitcode  : 7 (pid: 1234)
//
// Negative exit codes are signals. The zero value is outside of a block.
type root struct {
	Lines int   `json:"lines,omitempty"` // remaining lines
	Rank  int64 `json:"rank,omitempty"`  // rank of the process + 1, 0 while unknown
}

// rootLines bounds the block up to the exit code.
const rootLines = 8

// rootCause reads a line that is no CotrainCore record.
func (p *Parser) rootCause(line []byte) Result {
	line = bytes.TrimSpace(line)
	if bytes.HasPrefix(line, []byte("Root Cause (first observed failure)")) {
		p.State.Root = root{Lines: rootLines}
		return Result{}
	}
	if p.State.Root.Lines == 0 {
		return Result{}
	}
	p.State.Root.Lines--
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return Result{}
	}
	number, _, _ := bytes.Cut(bytes.TrimSpace(value), []byte(" "))
	switch string(bytes.TrimSpace(name)) {
	case "rank":
		if rank, ok := parseStep(number); ok && rank < 1<<20 {
			p.State.Root.Rank = rank + 1
		}
	case "exitcode":
		return p.rootExit(number)
	}
	return Result{}
}

func (p *Parser) rootExit(number []byte) Result {
	rank := p.State.Root.Rank - 1
	p.State.Root = root{}
	digits, killed := bytes.CutPrefix(number, []byte("-"))
	n, ok := parseStep(digits)
	if !ok || n == 0 || n > 255 {
		return Result{}
	}
	who, how, field := "a process", fmt.Sprintf("exited with code %d", n), ExitCode
	if rank >= 0 {
		who = fmt.Sprintf("the process of rank %d", rank)
		p.add("rank", float64(rank))
	}
	if killed {
		how, field = fmt.Sprintf("was ended by signal %d", n), ExitSignal
	}
	p.add(field, float64(n))
	p.text = append(p.text[:0], who+" "+how+" first"...)
	return p.event(RootCause, p.text)
}
