package diagnose

import (
	"bytes"
	"regexp"
)

// level is that of a log record.
type level uint8

const (
	noLevel level = iota
	debug
	info
	warning
	failure // ERROR
	fatal
)

// head is what stands before the message of a line: times, levels, ranks, names of hosts, containers and loggers.
type head struct {
	rest   []byte // the message, from its indentation on
	indent int    // spaces before it
	level  level
	rank   int  // -1 without one
	rankAt int  // where in the line its digits are, -1 without
	core   bool // a record of CotrainCore
}

// maxHead bounds how far into a line a head reaches.
const maxHead = 300

// readHead takes one part after the other from a line.
func readHead(line []byte) head {
	h := head{rest: line, rank: -1, rankAt: -1}
	h.core = isCore(line)
	for range 12 {
		h.rest = h.spaces(h.rest)
		at := len(line) - len(h.rest)
		if len(h.rest) == 0 || at > maxHead {
			break
		}
		n := h.part(h.rest, at)
		if n == 0 {
			break
		}
		h.rest, h.indent = h.rest[n:], 0
	}
	h.rank = rankOf(line, h.rankAt)
	return h
}

// rankOf reads the rank whose digits are at a place in a line.
func rankOf(line []byte, at int) int {
	if at < 0 {
		return -1
	}
	rank, _, _ := number(line[at:])
	return rank
}

func (h *head) spaces(b []byte) []byte {
	n := 0
	for n < len(b) && (b[n] == ' ' || b[n] == '\t') {
		n++
	}
	h.indent += n
	return b[n:]
}

// part returns the length of the part with which b, at a place in the line, starts, 0 if the message starts.
func (h *head) part(b []byte, at int) int {
	switch b[0] {
	case '[':
		return h.bracket(b, at, ']')
	case '(':
		if n := h.bracket(b, at, ')'); n > 0 && (bytes.Contains(b[:n], []byte("pid")) || bytes.Contains(b[:n], []byte("rank"))) {
			return n
		}
		return 0
	case '<':
		if bytes.HasPrefix(b, []byte("<stderr>:")) || bytes.HasPrefix(b, []byte("<stdout>:")) {
			return len("<stderr>:")
		}
		return 0
	case '|', '-', ':':
		if len(b) > 1 && b[1] == ' ' && h.indent < 8 {
			return 1
		}
		return 0
	}
	return h.word(b)
}

// bracket reads "[rank0]:", "[2026-01-02 03:04:05]", "[ERROR]", "[E123 ... file.cc:1]" and the like.
func (h *head) bracket(b []byte, at int, end byte) int {
	n := bytes.IndexByte(b[:min(len(b), 120)], end)
	if n < 0 {
		return 0
	}
	inside := b[1:n]
	if l := levelOf(bytes.TrimSpace(inside)); l != noLevel {
		h.level = l
	} else if len(inside) == 1 || len(inside) > 1 && (isDigit(inside[1]) || inside[1] == ' ') && h.level == noLevel {
		h.level = glogLevel(inside[0])
	}
	if rank := rankIn(inside); rank >= 0 {
		h.rankAt = at + 1 + rank
	} else if bytes.HasPrefix(b[n+1:], []byte("<std")) {
		if _, _, ok := number(inside); ok {
			h.rankAt = at + 1
		}
	}
	n++
	if n < len(b) && b[n] == ':' {
		n++
	}
	return n
}

// word reads a time, a level, a host or a logger. What may be the start of a message stays.
func (h *head) word(b []byte) int {
	n := bytes.IndexAny(b[:min(len(b), 100)], " \t")
	if n < 0 {
		n = len(b)
		if n > 100 {
			return 0
		}
	}
	word := b[:n]
	if isTime(word) {
		return n
	}
	if i := bytes.IndexByte(word, ':'); i > 0 {
		if l := levelOf(word[:i]); l != noLevel { // WARNING:torch.distributed:text
			h.level = l
			rest := word[i+1:]
			if j := bytes.IndexByte(rest, ':'); j > 0 && bytes.IndexByte(rest[:j], '(') < 0 {
				return i + 1 + j + 1
			}
			return i + 1
		}
		name := word[:i]
		if i == n-1 && n < len(b) && len(name) <= 40 && (bytes.IndexByte(name, '-') >= 0 || allDigits(name)) && bytes.IndexByte(name, '/') < 0 {
			return n // "node-1: text", "0: text"
		}
		return 0
	}
	if l := levelOf(word); l != noLevel && n < len(b) && (l < failure || word[0] != 'E' && word[0] != 'F' && word[0] != 'C' || word[1] < 'a') { // "Error while": a message
		h.level = l
		return n
	}
	if len(word) >= 4 && len(word) <= 5 && allDigits(word[1:]) && n < len(b) && glogLevel(word[0]) != noLevel {
		h.level = glogLevel(word[0])
		if end := bytes.Index(b[:min(len(b), 120)], []byte("] ")); end > 0 {
			return end + 1
		}
		return n
	}
	if rest := bytes.TrimLeft(b[n:], " "); len(rest) > 1 && rest[0] == '|' && rest[1] == ' ' && !allDigits(word) {
		return n // a container
	}
	return 0
}

// levelOf reads the word for a level, in any case.
func levelOf(word []byte) level {
	var folded [8]byte
	if len(word) > len(folded) {
		return noLevel
	}
	for i, c := range word {
		if isLetter(c) {
			c |= fold
		}
		folded[i] = c
	}
	switch string(folded[:len(word)]) {
	case "debug", "trace", "dbg":
		return debug
	case "info", "inf", "note", "notice":
		return info
	case "warning", "warn", "wrn":
		return warning
	case "error", "err":
		return failure
	case "critical", "fatal":
		return fatal
	}
	return noLevel
}

// mark is where a level stands in the text of a line that does not start with one: " - INFO - ", "level=info", `"level": "info"`.
var mark = regexp.MustCompile(`(?i)(?:[-|:] ?\b(info|warning|warn|debug|notice) ?[-|:]|\b(?:level|lvl|severity|levelname)"?[=:] ?"?(info|warning|warn|debug|notice)\b)`)

// markedLevel reads a level that the head did not reach.
func markedLevel(line []byte) level {
	at := mark.FindSubmatchIndex(line[:min(len(line), maxHead)])
	switch {
	case at == nil:
		return noLevel
	case at[2] >= 0:
		return levelOf(line[at[2]:at[3]])
	}
	return levelOf(line[at[4]:at[5]])
}

func glogLevel(c byte) level {
	switch c {
	case 'I':
		return info
	case 'W':
		return warning
	case 'E':
		return failure
	case 'F':
		return fatal
	}
	return noLevel
}

// isCore knows "03:22:58 [INFO] [Rank 0] ".
func isCore(b []byte) bool {
	if len(b) < 20 || b[2] != ':' || b[5] != ':' || b[8] != ' ' || b[9] != '[' || !isDigit(b[0]) {
		return false
	}
	end := bytes.IndexByte(b[:20], ']')
	return end > 0 && bytes.HasPrefix(b[end:], []byte("] [Rank "))
}

// rankIn returns where the digits are of "rank0", "Rank 3", "default1", "PG 1 Rank 0", -1 for none.
func rankIn(b []byte) int {
	for _, name := range [...]string{"ank", "default"} {
		i := bytes.Index(b, []byte(name))
		if i < 0 {
			continue
		}
		rest := bytes.TrimLeft(b[i+len(name):], " :=")
		if _, _, ok := number(rest); ok {
			return len(b) - len(rest)
		}
	}
	return -1
}

// number reads a number of at most six digits.
func number(b []byte) (value, length int, ok bool) {
	for length < len(b) && isDigit(b[length]) {
		value = value*10 + int(b[length]-'0')
		if length++; length > 6 {
			return 0, 0, false
		}
	}
	return value, length, length > 0
}

// isTime reports whether a word is a date or a time: digits and what stands between them.
func isTime(b []byte) bool {
	digits, marks := 0, 0
	for _, c := range b {
		switch {
		case isDigit(c):
			digits++
		case c == ':' || c == '-' || c == '/':
			marks++
		case c != '.' && c != ',' && c != 'T' && c != 'Z' && c != '+' && c != '_':
			return false
		}
	}
	return digits >= 4 && marks >= 1
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func allDigits(b []byte) bool {
	for _, c := range b {
		if !isDigit(c) {
			return false
		}
	}
	return len(b) > 0
}

// exception returns the name of the Python exception with which a message starts: "torch.cuda.OutOfMemoryError: text". Outside of
// a traceback it must be named like one.
func exception(msg []byte, traceback bool) (name, text []byte) {
	n := 0
	for n < len(msg) && n < 120 && (isLetter(msg[n]) || isDigit(msg[n]) || msg[n] == '_' || msg[n] == '.') {
		n++
	}
	if n < 4 || !isLetter(msg[0]) && msg[0] != '_' || n < len(msg) && (msg[n] != ':' || n+1 < len(msg) && msg[n+1] != ' ') {
		return nil, nil
	}
	name, text = msg[:n], bytes.TrimSpace(msg[min(n+1, len(msg)):])
	last := name[bytes.LastIndexByte(name, '.')+1:]
	if len(last) == 0 || !traceback && (last[0] < 'A' || last[0] > 'Z') {
		return nil, nil
	}
	if traceback {
		return name, text
	}
	for _, end := range [...]string{"Error", "Exception", "Interrupt", "NotFound", "Timeout", "OutOfResources", "Failed", "ValidationError", "EnforceNotMet", "ArrowInvalid", "Missing", "Exceeded"} {
		if bytes.HasSuffix(last, []byte(end)) && len(last) > len(end)-1 {
			if len(last) == len(end) && (end == "Error" || end == "Failed" || end == "Missing" || end == "NotFound" || end == "Exceeded") {
				return nil, nil // a heading
			}
			return name, text
		}
	}
	return nil, nil
}
