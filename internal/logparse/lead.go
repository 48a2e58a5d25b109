package logparse

import "bytes"

// maxHead bounds the parts of a head; no logger prints more.
const maxHead = 24

// message strips what loggers, launchers and container runtimes print before a message: times, levels, logger names, ranks,
// process IDs. ok is false for records that only look like metrics: DEBUG output, and the summary that wandb prints.
func message(line []byte) (msg []byte, ok bool) {
	h := lead{rest: line}
	for range maxHead {
		before := len(h.rest)
		h.strip()
		if len(h.rest) == before {
			break
		}
	}
	return h.rest, !h.debug && !hasAnyPrefix(h.rest, "wandb:", "swanlab:")
}

// lead is the rest of a line while its head is stripped.
type lead struct {
	rest  []byte
	seen  bool // a time or a level, so that names may follow
	debug bool
	pid   bool // the head told the process: a number in brackets after it is the record's
}

// strip removes one part.
func (h *lead) strip() {
	b := h.rest
	if len(b) == 0 {
		return
	}
	switch c := b[0]; {
	case c == ' ', c == '\t', c == '|':
		h.rest = b[1:]
	case c == '-' && len(b) > 1 && b[1] == ' ':
		h.rest = b[2:]
	case (c == ':' || c == '>') && h.seen:
		h.rest = b[1:]
	case c == '[', c == '(', c == '<':
		h.group()
	case isDigit(c):
		h.digits()
	case isWord(c):
		h.word()
	}
}

// group removes "[2024-01-02 03:04:05]", "[INFO]", "[rank0]:", "(main.py 200):", "(Worker pid=3)", "<6>".
func (h *lead) group() {
	b := h.rest
	closing := byte(']')
	switch b[0] {
	case '(':
		closing = ')'
	case '<':
		closing = '>'
	}
	end := bytes.IndexByte(b[:min(len(b), 100)], closing)
	if end < 0 {
		return
	}
	inside := bytes.TrimSpace(b[1:end])
	rest := b[end+1:]
	glued := len(rest) > 0 && (rest[0] == ':' || rest[0] == '<')
	known := false
	switch closing {
	case '>':
		known = allDigits(inside)
	case ')':
		known = bytes.Contains(inside, []byte("pid=")) || bytes.Contains(inside, []byte(".py"))
	default:
		known = h.bracket(inside, glued)
	}
	if !known {
		return
	}
	rest = bytes.TrimPrefix(bytes.TrimPrefix(rest, []byte("<stdout>")), []byte("<stderr>"))
	h.rest = bytes.TrimPrefix(rest, []byte(":"))
}

func (h *lead) bracket(inside []byte, glued bool) bool {
	name, _, _ := bytes.Cut(inside, []byte("|")) // "[INFO|DP=0|PP=0|TP=0]:"
	if level := levelNamed(name); level != levelNone {
		h.level(level)
		return true
	}
	if len(inside) == 0 || isPosition(inside) || bytes.IndexByte(inside, '=') >= 0 || bytes.IndexByte(inside, '<') >= 0 {
		return false
	}
	if hasTime(inside) {
		h.seen = true
		return true
	}
	if inside[0] == '(' || isDigit(inside[0]) {
		return (glued || h.seen && !h.pid) && bytes.IndexByte(inside, '/') < 0 && bytes.IndexByte(inside, '.') < 0
	}
	if hasFoldPrefix(inside, "rank ") || bytes.Contains(inside, []byte(".py")) || h.seen && bytes.IndexByte(inside, ':') > 0 {
		return true
	}
	for _, c := range inside {
		if !isKey(c) && c != ':' {
			return false
		}
	}
	return true
}

// isPosition reports whether a bracket tells where training is: "[Epoch 3 10/20]", "[step=3]".
func isPosition(b []byte) bool {
	return hasFoldPrefix(b, "epoch") || hasFoldPrefix(b, "step") || hasFoldPrefix(b, "iter") || hasFoldPrefix(b, "batch")
}

func (h *lead) level(l headLevel) {
	h.seen = true
	h.debug = h.debug || l == levelDebug
}

// digits removes dates, times, the address of "10.0.0.1:" and the rank of "3: ".
func (h *lead) digits() {
	b := h.rest
	end := bytes.IndexAny(b[:min(len(b), 42)], " \t")
	if end <= 0 {
		return
	}
	word := b[:end]
	switch {
	case isClock(word), isDay(word, b[end:]):
		h.rest, h.seen = b[end:], true
	case word[end-1] == ':' && bytes.Count(word, []byte(".")) == 3, word[end-1] == ':' && allDigits(word[:end-1]) && end <= 6:
		rest := bytes.TrimLeft(b[end:], " ")
		if len(rest) > 0 && !isDigit(rest[0]) {
			h.rest = rest
		}
	}
}

// word removes levels, months with a day, the head of glog, names of loggers and containers.
func (h *lead) word() {
	b := h.rest
	end := 0
	for end < len(b) && (isWord(b[end]) || b[end] == '.' || b[end] == '-' || b[end] == '$' || b[end] == '/') {
		end++
	}
	if end == len(b) || end > 80 {
		return
	}
	word, rest := b[:end], b[end:]
	if level := levelNamed(word); level != levelNone {
		h.afterLevel(level, rest)
		return
	}
	if hasFoldPrefix(word, "step") || hasFoldPrefix(word, "epoch") || hasFoldPrefix(word, "iter") || hasFoldPrefix(word, "loss") {
		return
	}
	switch {
	case rest[0] == ' ' && len(word) == 5 && bytes.IndexByte([]byte("IWEF"), word[0]) >= 0 && allDigits(word[1:]):
		h.glog(rest)
	case rest[0] == ' ' && len(word) == 3 && isMonth(word) && len(rest) > 3 && isDigit(bytes.TrimLeft(rest, " ")[0]):
		day := bytes.TrimLeft(rest, " ")
		if n := bytes.IndexByte(day, ' '); n > 0 && n < 3 {
			h.rest, h.seen = day[n:], true
		}
	case hasAnyPrefix(rest, " F ", " P ") && (string(word) == "stdout" || string(word) == "stderr"):
		h.rest = rest[3:]
	case rest[0] == ' ' && isReplica(word):
		h.rest = rest
	case h.seen && rest[0] == ' ' && syslogTag(rest[1:]) > 0:
		h.rest = rest[1+syslogTag(rest[1:]):]
	case h.seen:
		h.name(rest)
	case rest[0] == ':' && len(rest) > 1 && rest[1] == ' ' && bytes.ContainsAny(word, "0123456789") && bytes.ContainsAny(word, "-."):
		h.rest = rest[1:] // a host
	case rest[0] == ' ':
		if bar := bytes.TrimLeft(rest, " "); len(bar) > 1 && bar[0] == '|' && bar[1] == ' ' && !allDigits(word) {
			h.rest = bar[2:] // a container
		}
	}
}

// afterLevel removes the separator after a level, and the logger of "INFO:name:".
func (h *lead) afterLevel(level headLevel, rest []byte) {
	if rest[0] != ' ' && rest[0] != ':' && rest[0] != '|' && rest[0] != ']' && rest[0] != '\t' {
		return
	}
	h.level(level)
	h.rest = rest
	if rest[0] != ':' {
		return
	}
	h.rest = rest[1:]
	for i, c := range h.rest {
		if c == ':' && i > 0 {
			h.rest = h.rest[i+1:]
			return
		}
		if !isWord(c) && c != '.' {
			return
		}
	}
}

// glog removes the rest of "I0811 21:54:55.531340 1383 metric_logger.py:226] ".
func (h *lead) glog(rest []byte) {
	if end := bytes.Index(rest[:min(len(rest), 120)], []byte("] ")); end > 0 && hasTime(rest[:end]) {
		h.rest, h.seen, h.pid = rest[end+2:], true, true
	}
}

// name removes the logger after a time or level: "trainer - ", "trainer | ", "module:function:95 - ".
func (h *lead) name(rest []byte) {
	for len(rest) > 0 && (rest[0] == ':' || isWord(rest[0])) {
		rest = rest[1:]
	}
	after := bytes.TrimLeft(rest, " \t")
	if len(rest) == len(after) {
		return
	}
	if rest[0] == '\t' {
		h.rest = after
		return
	}
	if hasAnyPrefix(after, "- ", "| ", ">> ") {
		h.rest = after[2:]
	} else if end := bytes.IndexAny(after[:min(len(after), 10)], " :"); end > 0 && levelNamed(after[:end]) != levelNone {
		h.rest = after
	}
}

// syslogTag returns the length of "program[123]:", which stands after the host.
func syslogTag(b []byte) int {
	n := 0
	for n < len(b) && isKey(b[n]) {
		n++
	}
	digits := n + 1
	for digits < len(b) && isDigit(b[digits]) {
		digits++
	}
	if n == 0 || digits == n+1 || b[n] != '[' || !hasAnyPrefix(b[digits:], "]:") {
		return 0
	}
	return digits + 2
}

// isReplica knows what torchx prints before a line: "trainer/0".
func isReplica(b []byte) bool {
	slash := bytes.IndexByte(b, '/')
	return slash > 0 && allDigits(b[slash+1:])
}

func isMonth(b []byte) bool {
	switch string(b) {
	case "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
		"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
		return true
	}
	return false
}

// isClock reports whether a word is a date, a time, or both: "2024/01/02", "03:04:05,678", "2024-01-02T03:04:05Z".
func isClock(b []byte) bool {
	colons, strokes := 0, 0
	for i, c := range b {
		switch {
		case isDigit(c), c == '.', c == ',', c == 'T', c == 'Z', c == '_', c == '+':
		case c == ':':
			if i+1 < len(b) {
				colons++
			}
		case c == '-', c == '/':
			strokes++
		default:
			return false
		}
	}
	return colons >= 1 && colons <= 3 && hasTime(b) || strokes == 2 && colons == 0 && len(b) >= 8 && len(b) <= 12
}

// isDay reports whether a word is a date without a year, "04/21", before a time.
func isDay(word, rest []byte) bool {
	if len(word) != len("04/21") || word[2] != '/' && word[2] != '-' || !allDigits(word[:2]) || !allDigits(word[3:]) {
		return false
	}
	rest = bytes.TrimLeft(rest, " ")
	return len(rest) > len("21:03:53") && rest[2] == ':' && rest[5] == ':' && isDigit(rest[0]) && isDigit(rest[7])
}

// hasTime reports whether b holds "d:dd".
func hasTime(b []byte) bool {
	for i := 1; i+2 < len(b); i++ {
		if b[i] == ':' && isDigit(b[i-1]) && isDigit(b[i+1]) && isDigit(b[i+2]) {
			return true
		}
	}
	return false
}

func allDigits(b []byte) bool {
	for _, c := range b {
		if !isDigit(c) {
			return false
		}
	}
	return len(b) > 0
}

// hasFoldPrefix compares with a lower-case ASCII word.
func hasFoldPrefix(b []byte, word string) bool {
	return len(b) >= len(word) && equalFold(b[:len(word)], word)
}

func hasAnyPrefix(b []byte, words ...string) bool {
	for _, w := range words {
		if len(b) >= len(w) && string(b[:len(w)]) == w {
			return true
		}
	}
	return false
}
