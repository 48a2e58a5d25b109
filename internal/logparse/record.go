package logparse

import "bytes"

// record is a CotrainCore log record found in a line.
type record struct {
	msg   []byte
	found bool
	debug bool // level DEBUG or lower
}

var rankMark = []byte("[Rank ")

// findRecord finds "[LEVEL] [Rank R] message" after anything (time, container name, a truncated record). When processes
// share a pipe, a line can hold several heads: only the last one with a time is surely complete.
func findRecord(line []byte) record {
	rec, from := plainHead(line)
	for {
		n := bytes.Index(line[from:], rankMark)
		if n < 0 {
			return rec
		}
		start := from + n
		from = start + len(rankMark)
		end := from
		for end < len(line) && isDigit(line[end]) {
			end++
		}
		if end == from || end >= len(line) || line[end] != ']' {
			continue
		}
		level, timed := levelBefore(line[:start])
		if level == levelNone || rec.found && !timed {
			continue // "[Rank 0]" inside a message
		}
		msg := line[end+1:]
		for len(msg) > 0 && msg[0] == ' ' {
			msg = msg[1:]
		}
		rec = record{msg: msg, found: true, debug: level == levelDebug}
	}
}

// plainHead is a fast path for undamaged lines, "03:22:58 [INFO] [Rank 0] "; it returns the index after "[Rank ".
func plainHead(line []byte) (rec record, next int) {
	const timed = len("03:22:58 [")
	if len(line) < timed || line[timed-1] != '[' || !endsWithTime(line[:timed-1]) {
		return record{}, 0
	}
	n := bytes.IndexByte(line[timed:min(len(line), timed+12)], ']')
	if n < 0 {
		return record{}, 0
	}
	level := levelNamed(line[timed : timed+n])
	rest := line[timed+n+1:]
	const mark = " [Rank 0] "
	if level == levelNone || len(rest) <= len(mark) || string(rest[:7]) != mark[:7] || !isDigit(rest[7]) || string(rest[8:10]) != mark[8:] || rest[10] == ' ' {
		return record{}, 0
	}
	return record{msg: rest[len(mark):], found: true, debug: level == levelDebug}, timed + n + 1 + len(mark)
}

type headLevel uint8

const (
	levelNone headLevel = iota // no head stands there
	levelDebug
	levelHigher
)

// levelBefore reads the level before "[Rank": "... 03:22:58 [INFO] ", with at most two short tags between ("[INFO]
// [TRAIN] "), and whether a time precedes it. A damaged line may start inside the head.
func levelBefore(b []byte) (level headLevel, timed bool) {
	if len(b) == 0 {
		return levelHigher, false
	}
	const longest = 16 // bytes of a level or tag
	for range 3 {
		if len(b) < 2 || b[len(b)-1] != ' ' || b[len(b)-2] != ']' {
			return levelNone, false
		}
		b = b[:len(b)-2]
		word := b[max(0, len(b)-longest):]
		open := bytes.LastIndexByte(word, '[')
		if open < 0 {
			if len(word) < len(b) {
				return levelNone, false
			}
			if bytes.HasSuffix([]byte("DEBUG"), word) {
				return levelDebug, false
			}
			return levelHigher, false
		}
		word = word[open+1:]
		b = b[:len(b)-len(word)-1]
		if level = levelNamed(bytes.TrimRight(word, " ")); level != levelNone {
			return level, endsWithTime(b)
		}
		for _, c := range word {
			if !isWord(c) && c != '-' {
				return levelNone, false
			}
		}
	}
	return levelNone, false
}

func levelNamed(word []byte) headLevel {
	switch string(word) {
	case "DEBUG", "TRACE", "NOTSET":
		return levelDebug
	case "INFO", "SUCCESS", "WARN", "WARNING", "ERROR", "CRITICAL", "FATAL":
		return levelHigher
	}
	return levelNone
}

// endsWithTime reports whether b ends with "MM:SS ", which even a cut head keeps.
func endsWithTime(b []byte) bool {
	n := len(b)
	return n >= 6 && b[n-1] == ' ' && isDigit(b[n-2]) && isDigit(b[n-3]) && b[n-4] == ':' &&
		isDigit(b[n-5]) && isDigit(b[n-6])
}

// stripWrapper strips the prefixes of container runtimes and launchers: an RFC 3339 time, CRI's stream and flag, docker
// compose's "name | ", torchrun's "[rank0]:".
func stripWrapper(line []byte) []byte {
	for range 4 {
		rest := stripOneWrapper(line)
		if len(rest) == len(line) {
			break
		}
		line = bytes.TrimLeft(rest, " \t")
	}
	return line
}

func stripOneWrapper(line []byte) []byte {
	end := bytes.IndexByte(line, ' ')
	if len(line) > 0 && line[0] == '[' {
		if i := bytes.Index(line, []byte("]:")); i > 0 && i < 24 && (end < 0 || i < end) {
			return line[i+2:]
		}
		return line
	}
	if end <= 0 {
		return line
	}
	word, rest := line[:end], bytes.TrimLeft(line[end:], " \t")
	if isTimestamp(word) {
		return rest
	}
	if s := string(word); s == "stdout" || s == "stderr" {
		if len(rest) > 2 && (rest[0] == 'F' || rest[0] == 'P') && rest[1] == ' ' {
			return rest[2:]
		}
		return line
	}
	if len(rest) < 2 || rest[0] != '|' || rest[1] != ' ' || string(word) == "DEBUG" || string(word) == "TRACE" {
		return line
	}
	for _, c := range word {
		if !isWord(c) && c != '-' && c != '.' {
			return line
		}
	}
	return rest[2:]
}

// isTimestamp reports whether b starts with an RFC 3339 time, "2025-07-31T08:28:47".
func isTimestamp(b []byte) bool {
	const form = "dddd-dd-ddTdd:dd:dd"
	if len(b) < len(form) || len(b) > len(form)+20 {
		return false
	}
	for i := range len(form) {
		if form[i] == 'd' && !isDigit(b[i]) || form[i] != 'd' && form[i] != b[i] {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return c-'0' <= 9 }

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || isDigit(c) || c == '_'
}
