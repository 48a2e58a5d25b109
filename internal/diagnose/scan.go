package diagnose

import (
	"bytes"
	"errors"
	"hash/maphash"
	"io"
)

const (
	// scanBlock is how many bytes of a log are searched at a time: few enough for a processor's cache.
	scanBlock = 256 << 10
	// maxUnit is the longest text that rules see at once; of longer lines they see what surrounds a text that was found.
	maxUnit = 2048
	before  = 512 // bytes that they see before it
	// followed is how many lines after the last frame of a traceback its exception is waited for.
	followed = 64
)

// structure are texts that say how lines belong together.
var structure = []string{
	"Traceback (most recent call last)",
	`File "`,
	"During handling of the above exception",
	"The above exception was the direct cause",
	"Caught an exception, terminating children",
	"terminate called",
	"Exception ignored in",
	"--- Logging error ---",
	"AssertionError",
	"NotImplementedError",
	"TimeoutError",
	"RuntimeError",
	"Error: ",
	"Exception: ",
}

// Indexes of structure.
const (
	textTraceback = iota
	textFrame
	textDuring
	textCause
	textCaught
	textTerminate
	textIgnored
	textLogging
	textsOfStructure // how many they are
)

// Scanner reads the output of a process. Its memory does not depend on how much there is.
type Scanner struct {
	rules   *Rules
	process string // its name in summaries, "" for its rank
	line    int64  // number of the next line
	// inside is set within a line that is longer than a block.
	inside bool

	seen     []seen // of each rule
	curve    curve
	traces   [8]trace
	framings [64]framing
	seed     maphash.Seed
	turn     int // the trace that is given up next
	chain    chain
	caught   int64 // until which line a message is CotrainCore's fatal error
	what     int64 // until which line what() is said
	finished int64 // newest line that says that the training ended well, -1 without one
	over     int64 // until which line an exception is one that Python ignores
	watch    int64 // until which line all lines are looked at
	follow   int   // rule whose message goes on
	more     int   // for how many lines

	hits     []int32 // of a line
	found    []int32 // texts of the line
	counts   []uint32
	stamp    uint32
	stripped []byte
	units    int   // that were looked at
	notes    notes // of one that is not kept
	memo     *memo
	recent   recent
}

// NewScanner returns a scanner at the start of a log.
func (r *Rules) NewScanner() *Scanner {
	s := &Scanner{rules: r, seen: make([]seen, len(r.rules)), counts: make([]uint32, len(r.rules)+len(r.markers)), caught: -1, what: -1, finished: -1, over: -1, watch: -1, seed: maphash.MakeSeed()}
	for i := range s.traces {
		s.traces[i].rank = -2
		s.traces[i].frame = -1
	}
	return s
}

// Process has summaries call the process by a name, such as "worker 3 (gpu-7)", and not by the rank that its lines tell.
func (s *Scanner) Process(name string) { s.process = name }

// Scan reads a log up to its end.
func (s *Scanner) Scan(in io.Reader) error {
	const ahead = 2 // blocks
	free, ready := make(chan *piece, ahead+1), make(chan *piece, ahead)
	for range ahead + 1 {
		free <- &piece{buf: make([]byte, scanBlock)}
	}
	var readErr error
	go func() {
		defer close(ready)
		readErr = s.rules.finder.read(in, free, ready)
	}()
	for p := range ready {
		s.block(p.data, p.hits)
		s.inside = s.inside || p.cut
		free <- p
	}
	return readErr
}

// piece is a part of a log: whole lines, or if cut a part of a line that is longer than a block.
type piece struct {
	buf  []byte
	data []byte // the first bytes of buf
	hits []int32
	cut  bool
}

// read searches a log for texts, ahead of who reads the lines.
func (f *finder) read(in io.Reader, free <-chan *piece, ready chan<- *piece) error {
	p, n := <-free, 0
	for {
		m, err := in.Read(p.buf[n:])
		n += m
		end := bytes.LastIndexByte(p.buf[:n], '\n') + 1
		rest := end // from where on the next piece goes on
		p.cut = err == nil && end == 0 && n == len(p.buf)
		switch {
		case err != nil:
			end, rest = n, n
		case p.cut: // texts at the cut are found with what follows
			end, rest = n, n-before
		case end == 0:
			continue
		}
		p.data = p.buf[:end]
		p.hits = f.lines(p.data, p.hits[:0])
		ready <- p
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		next := <-free
		n = copy(next.buf, p.buf[rest:n])
		p = next
	}
}

// Line reads one line, without its end.
func (s *Scanner) Line(line []byte) {
	s.hits = s.rules.finder.lines(line, s.hits[:0])
	s.block(line, s.hits)
	s.line++
	s.inside = false
}

// Lines returns how many lines have been read.
func (s *Scanner) Lines() int64 { return s.line }

// block reads whole lines, or a part of a line: those with a text of a rule, those with a loss, and those that are watched.
func (s *Scanner) block(b []byte, hits []int32) {
	loss := -1
	drawn := bytes.IndexByte(b, '\r') >= 0
	for at := 0; at < len(b); {
		start := at
		if s.line > s.watch {
			for len(hits) > 0 && int(hits[0]) < at {
				hits = hits[1:]
			}
			if loss < at {
				loss = indexFrom(b, at, lossText)
			}
			next := loss
			if len(hits) > 0 {
				next = min(next, int(hits[0]))
			}
			start = bytes.LastIndexByte(b[at:next], '\n') + 1 + at
			if next == len(b) {
				start = bytes.LastIndexByte(b, '\n') + 1
			}
			if lines := bytes.Count(b[at:start], newline); lines > 0 {
				s.line += int64(lines)
				s.inside = false
			}
			if next == len(b) {
				return
			}
		} else if loss < at {
			loss = indexFrom(b, at, lossText)
		}
		end := indexFrom(b, start, newline)
		hit := s.line <= s.watch || len(hits) > 0 && int(hits[0]) < end
		switch progress := drawn && bytes.IndexByte(b[start:end], '\r') >= 0; {
		case progress && loss < end:
			s.redrawn(b[start:end], hit)
		case loss < end:
			s.curve.read(b[start:min(end, loss+maxUnit)], loss-start, s.line)
			fallthrough
		default:
			if hit {
				s.one(b[start:end])
			}
		}
		if at = end + 1; end < len(b) {
			s.line++
			s.inside = false
		}
	}
}

var (
	newline  = []byte("\n")
	lossText = []byte("oss")
)

func indexFrom(b []byte, from int, text []byte) int {
	if i := bytes.Index(b[from:], text); i >= 0 {
		return from + i
	}
	return len(b)
}

// one reads a line: the segments that a carriage return or a NUL separates, and of long ones what surrounds a text.
func (s *Scanner) one(line []byte) {
	for len(line) > 0 && (line[len(line)-1] == '\r' || line[len(line)-1] == 0) {
		line = line[:len(line)-1]
	}
	for {
		segment, rest, more := cutBreak(line)
		s.segment(segment)
		if !more {
			return
		}
		line = rest
	}
}

// redrawn reads a line that is drawn again and again, as progress bars are: each time may be a step.
func (s *Scanner) redrawn(line []byte, hit bool) {
	for more := true; more; {
		var segment []byte
		segment, line, more = cutBreak(line)
		if loss := indexFrom(segment, 0, lossText); loss < len(segment) {
			s.curve.redraw(segment[:min(len(segment), loss+maxUnit)], loss, s.line)
		}
		if hit && len(segment) > 0 {
			s.segment(segment)
		}
	}
}

func cutBreak(line []byte) (segment, rest []byte, more bool) {
	at := bytes.IndexByte(line, '\r')
	if at < 0 {
		at = len(line)
	}
	if i := bytes.IndexByte(line[:at], 0); i >= 0 {
		at = i
	}
	if at == len(line) {
		return line, nil, false
	}
	return line[:at], line[at+1:], true
}

func (s *Scanner) segment(b []byte) {
	if len(b) <= maxUnit {
		s.unit(b, !s.inside)
		return
	}
	for at := 0; at < len(b); {
		hit := s.rules.finder.next(b, at)
		if hit == len(b) {
			return
		}
		start := max(at, hit-before)
		end := min(len(b), start+maxUnit)
		s.unit(b[start:end], start == 0 && !s.inside)
		if at = end; end < len(b) { // a text at the cut is seen whole the next time
			at = max(hit+1, end-before/2)
		}
	}
}

// unit reads a text of at most maxUnit bytes. whole says that it starts a line.
func (s *Scanner) unit(text []byte, whole bool) {
	if bytes.IndexByte(text, escape) >= 0 {
		s.stripped = stripEscapes(s.stripped[:0], text)
		text = s.stripped
	}
	n := s.notesOf(text, whole)
	u := unit{text: text, notes: n, head: n.head}
	u.rest, u.rank = text[n.message:], rankOf(text, n.rankAt)
	if s.quoted(&u) {
		return
	}
	if !n.judged {
		s.judge(n, text, matches)
	}
	s.shape(&u)
	if u.level == noLevel {
		u.level = n.marked
	}
	for _, i := range n.markers {
		if s.apply(s.rules.markers[i], &u) {
			return
		}
	}
	s.match(&u)
}

// unit is a text with what is known of it.
type unit struct {
	text []byte
	*notes
	head
	ends    bool // it tells of the end of a process
	bare    bool // only by its form: an exception without a traceback
	known   bool // a rule has matched it
	handled bool // it says itself that it was handled
	trace   *trace
	chain   chain
}

// shape finds out whether a line ends a process.
func (s *Scanner) shape(u *unit) {
	t := s.trace(u.rank)
	open := t != nil && t.open && s.line-t.frame < followed && u.indent <= t.indent && len(u.rest) > 0
	if open && u.raised || !open && u.raisedAlone {
		u.ends, u.bare = true, !open
		if s.line <= s.over {
			u.ends, u.handled, s.over = false, true, -1
		}
		u.chain, s.chain = s.chain, unchained
		if t != nil && s.line-t.frame < followed {
			u.trace, u.bare = t, false
		}
	}
	if open {
		t.open = false
	}
	if s.line <= s.caught && u.core {
		u.ends, u.bare, s.caught = true, false, -1
	}
	if s.line <= s.what && u.what || u.level == fatal {
		u.ends, u.bare = true, false
	}
	for _, id := range u.structure {
		switch id {
		case textCaught:
			s.caught, s.watch = s.line+2, max(s.watch, s.line+2)
		case textTerminate:
			s.what, s.watch = s.line+4, max(s.watch, s.line+4)
			u.ends = true
		case textIgnored, textLogging:
			s.over = s.line + followed
		}
	}
}

const escape = 0x1b

// stripEscapes appends src without terminal escape sequences.
func stripEscapes(dst, src []byte) []byte {
	for i := 0; i < len(src); {
		if src[i] != escape {
			dst = append(dst, src[i])
			i++
			continue
		}
		i++
		switch {
		case i < len(src) && src[i] == '[': // CSI: up to a letter
			for i++; i < len(src) && (src[i] < 0x40 || src[i] > 0x7e); i++ {
			}
			i++
		case i < len(src) && src[i] == ']': // OSC: up to BEL or ST
			for i++; i < len(src) && src[i] != 0x07 && src[i] != escape; i++ {
			}
			if i < len(src) && src[i] == 0x07 {
				i++
			}
		default:
			i++
		}
	}
	return dst
}
