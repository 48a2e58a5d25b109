package cli

import (
	"strings"

	"github.com/cotrain/cotrain/internal/run"
)

// machineLine reports whether a line of a log is for machines.
func machineLine(text string) bool { return strings.HasPrefix(text, run.MachineMark) }

// liveWidth bounds the live line in characters: one that wraps cannot be redrawn.
const liveWidth = 79

// setLive replaces the last line of the terminal. It goes when something else is printed, and comes back at the next look.
func (p *process) setLive(text string) error {
	p.live = short(p.text(text), liveWidth)
	return p.print("\r\x1b[K%s", p.live)
}

// endLive removes the live line, if there is one.
func (p *process) endLive() error {
	if p.live == "" {
		return nil
	}
	p.live = ""
	return p.print("\r\x1b[K")
}
