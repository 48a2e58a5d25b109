package logarchive

import (
	"bytes"

	"github.com/cotrain/cotrain/internal/run"
)

// levelWithin is how many bytes of a line are looked at: loggers name the level at its beginning.
const levelWithin = 160

// levels are the words of loggers for a line's level, in capitals.
var levels = map[string]run.LogLevel{
	"DEBUG": run.LevelInfo, "TRACE": run.LevelInfo, "INFO": run.LevelInfo, "NOTICE": run.LevelInfo,
	"WARN": run.LevelWarning, "WARNING": run.LevelWarning,
	"ERR": run.LevelError, "ERROR": run.LevelError, "CRITICAL": run.LevelError, "FATAL": run.LevelError, "PANIC": run.LevelError, "SEVERE": run.LevelError,
}

// keys name the level in JSON and logfmt; a word in any case follows.
var keys = [][]byte{[]byte(`level`), []byte(`levelname`), []byte(`severity`), []byte(`lvl`)}

// Beginnings of lines that no logger printed.
var (
	errorStarts   = [][]byte{[]byte("Traceback (most recent call last)"), []byte(`  File "`), []byte("terminate called "), []byte("Segmentation fault"), []byte("Fatal Python error"), []byte("slurmstepd: error:"), []byte("srun: error:")}
	warningInside = []byte("Warning: ") // of Python's warnings: x.py:3: UserWarning: ...
)

// LevelOf is the level that a line names: in capitals ([INFO], ERROR:), as a field of JSON or logfmt, as glog's letter (E1130), or as the
// exception of Python that it is. A line that names none has [run.LevelInfo].
func LevelOf(line []byte) run.LogLevel {
	if bytes.HasPrefix(line, []byte(run.MachineMark)) {
		return run.LevelMachine
	}
	head := line[:min(len(line), levelWithin)]
	if level, ok := namedLevel(head); ok {
		return level
	}
	head = withoutRank(head)
	for _, start := range errorStarts {
		if bytes.HasPrefix(head, start) {
			return run.LevelError
		}
	}
	switch {
	case glog(head, 'E'), glog(head, 'F'), isException(head):
		return run.LevelError
	case glog(head, 'W'), bytes.Contains(head, warningInside):
		return run.LevelWarning
	}
	return run.LevelInfo
}

// namedLevel finds the first word of a line that is a level.
func namedLevel(head []byte) (run.LogLevel, bool) {
	keyed := false // the word before was a key
	for i := 0; i < len(head); {
		if !letter(head[i]) {
			if keyed && head[i] != '"' && head[i] != ':' && head[i] != '=' && head[i] != ' ' {
				keyed = false
			}
			i++
			continue
		}
		from := i
		for i < len(head) && letter(head[i]) {
			i++
		}
		word := head[from:i]
		if len(word) < 3 || len(word) > 9 {
			keyed = false
			continue
		}
		if keyed {
			if level, ok := levels[string(bytes.ToUpper(word))]; ok {
				return level, true
			}
		}
		// A capital word is a level where nothing of its kind follows: INFO, but not ERROR_CODE or ERROR-12.
		if word[0] < 'a' && word[1] < 'a' && (i == len(head) || head[i] != '_' && head[i] != '-' && (head[i] < '0' || head[i] > '9')) && (from == 0 || head[from-1] != '_' && head[from-1] != '-') {
			if level, ok := levels[string(word)]; ok {
				return level, true
			}
		}
		keyed = i < len(head) && (head[i] == '"' || head[i] == '=') && isKey(word)
	}
	return run.LevelInfo, false
}

func isKey(word []byte) bool {
	for _, k := range keys {
		if bytes.EqualFold(word, k) {
			return true
		}
	}
	return false
}

func letter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

// withoutRank drops what torchrun and Slurm put before a line: "[rank0]: ", "[rank0]:[".
func withoutRank(head []byte) []byte {
	if len(head) > 0 && head[0] == '[' {
		if end := bytes.Index(head, []byte("]:")); end > 0 && end < 24 {
			head = bytes.TrimPrefix(head[end+2:], []byte(" "))
		}
	}
	return bytes.TrimPrefix(head, []byte("["))
}

// glog reports whether a line begins as those of glog and PyTorch's C++: E1130 07:08:09.
func glog(head []byte, letter byte) bool {
	if len(head) < 6 || head[0] != letter || head[5] != ' ' {
		return false
	}
	for _, b := range head[1:5] {
		if b < '0' || b > '9' {
			return false
		}
	}
	return true
}

// isException reports whether a line is an exception of Python: torch.cuda.OutOfMemoryError: CUDA out of memory.
func isException(head []byte) bool {
	name, _, _ := bytes.Cut(head, []byte(":"))
	if len(name) > 80 || bytes.ContainsAny(name, " \t/=,") {
		return false
	}
	return bytes.HasSuffix(name, []byte("Error")) || bytes.HasSuffix(name, []byte("Exception")) || bytes.Equal(name, []byte("KeyboardInterrupt"))
}
