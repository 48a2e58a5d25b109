package diagnose

import (
	"bytes"
	"hash/maphash"
)

// chain is how the next exception follows from the one before it.
type chain uint8

const (
	unchained chain = iota
	during
	because
)

// trace is a traceback of a rank under way.
type trace struct {
	rank   int
	open   bool
	indent int   // of the word Traceback
	frame  int64 // line of the newest frame
	deep   int   // its indentation
	at     []byte
	user   bool // at is in no library
	shown  kept
	frames []byte // the newest lines of the traceback: frames, and the source that they quote
}

// maxFrames is how much of a traceback rules see.
const maxFrames = 2048

// quote keeps a line of the traceback.
func (t *trace) quote(text []byte) {
	text = text[:min(len(text), maxFrames/4)]
	if over := len(t.frames) + len(text) + 1 - maxFrames; over > 0 {
		t.frames = t.frames[:copy(t.frames, t.frames[over:])]
	}
	t.frames = append(append(t.frames, text...), '\n')
}

// framed reports whether a traceback has a frame that a rule must not see. Logs repeat tracebacks, and expressions take long, so answers are kept.
func (s *Scanner) framed(t *trace, rule int) bool {
	key := maphash.Bytes(s.seed, t.frames) + uint64(rule) // #nosec G115 -- an index
	of := &s.framings[key%uint64(len(s.framings))]
	if of.key != key {
		of.key, of.yes = key, s.rules.rules[rule].unlessFrame.Match(t.frames)
	}
	return of.yes
}

// framing is whether a rule must not see the frames of a key.
type framing struct {
	key uint64
	yes bool
}

// quoted follows tracebacks, and reports whether a line only quotes source code.
func (s *Scanner) quoted(u *unit) bool {
	if u.boxed {
		return true
	}
	t := s.trace(u.rank)
	for _, id := range u.structure {
		switch id {
		case textTraceback:
			t = s.open(u.rank)
			t.open, t.indent, t.frame, t.deep, t.user = true, u.indent, s.line, u.indent, false
			t.at, t.frames = t.at[:0], t.frames[:0]
			s.watch = max(s.watch, s.line+followed)
			if bytes.HasPrefix(u.rest, []byte("Traceback")) {
				return true
			}
		case textFrame:
			if bytes.HasPrefix(u.rest, []byte(`File "`)) {
				if t == nil {
					t = s.open(u.rank)
					t.open = false
					t.user = false
				}
				t.enter(u.rest, u.indent, s.line, u.text)
				s.watch = max(s.watch, s.line+followed)
				return true
			}
		case textDuring:
			s.chain = during
			return true
		case textCause:
			s.chain = because
			return true
		}
	}
	// The source below a frame is indented further, and so are the carets below that.
	if t == nil || u.indent <= t.deep || s.line-t.frame > 3 || u.level != noLevel {
		return false
	}
	t.quote(u.text)
	return true
}

// enter notes a frame: File "/app/train.py", line 12, in main.
func (t *trace) enter(frame []byte, indent int, line int64, text []byte) {
	if !t.open && line-t.frame > followed {
		t.frames = t.frames[:0]
	}
	t.quote(text)
	t.frame, t.deep = line, indent
	if !t.open {
		t.indent = max(0, indent-2)
	}
	rest := frame[len(`File "`):]
	file, rest, ok := bytes.Cut(rest, []byte(`"`))
	rest, isLine := bytes.CutPrefix(rest, []byte(", line "))
	_, digits, isNumber := number(rest)
	if !ok || !isLine || !isNumber || len(file) == 0 {
		return
	}
	user := file[0] != '<' && !bytes.Contains(file, []byte("site-packages")) && !bytes.Contains(file, []byte("dist-packages")) &&
		!bytes.Contains(file, []byte("/lib/python"))
	if t.user && !user {
		return // the last frame of the user's own code tells more
	}
	t.user = user
	if i := bytes.LastIndexByte(file, '/'); i >= 0 && len(file)-i > 1 {
		file = file[i+1:]
	}
	t.at = append(append(append(t.at[:0], file[:min(len(file), maxFact)]...), ':'), rest[:digits]...)
	t.shown.set(text, line)
}

func (s *Scanner) trace(rank int) *trace {
	for i := range s.traces {
		if s.traces[i].rank == rank {
			return &s.traces[i]
		}
	}
	return nil
}

// open returns the trace of a rank, or one that is given up for it.
func (s *Scanner) open(rank int) *trace {
	if t := s.trace(rank); t != nil {
		return t
	}
	t := &s.traces[s.turn]
	s.turn = (s.turn + 1) % len(s.traces)
	*t = trace{rank: rank, at: t.at[:0], shown: kept{text: t.shown.text[:0]}, frames: t.frames[:0]}
	return t
}
