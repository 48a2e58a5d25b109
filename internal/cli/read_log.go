package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/cotrain/cotrain/internal/fault"
)

const (
	// headBytes is how much of a log is looked at before it is read, longestMagic of that is waited for.
	headBytes    = 4 << 10
	longestMagic = 6
	// fewestJudged is from how many bytes on a head can be said to be no text, and mostBinary which share of it may be none.
	fewestJudged = 256
	mostBinary   = 0.3
)

// packed are the beginnings of files that are no logs themselves, and what unpacks them.
var packed = []struct{ magic, what, with string }{
	{"\x1f\x8b", "gzip", "zcat"},
	{"\x28\xb5\x2f\xfd", "zstd", "zstdcat"},
	{"\xfd7zXZ\x00", "xz", "xzcat"},
	{"BZh", "bzip2", "bzcat"},
	{"PK\x03\x04", "zip", "unzip -p"},
}

// openLog opens the output of a process, - for the standard input, as UTF-8. What is no text is refused.
func (p *process) openLog(name, command string) (io.Reader, func(), error) {
	in, done := p.stdin, func() {}
	if name != "-" {
		f, err := openFile(name)
		if err != nil {
			return nil, nil, fault.Usage(fmt.Sprintf("%s: %v", name, pathReason(err)), "name a log, or - for the standard input")
		}
		in, done = f, func() { _ = f.Close() } // it was only read
	}
	if name == "-" {
		name = "the standard input"
	}
	out, err := asText(in, name, command)
	if err != nil {
		done()
	}
	return out, done, err
}

func asText(in io.Reader, name, command string) (io.Reader, error) {
	head := make([]byte, headBytes)
	n, err := io.ReadAtLeast(in, head, longestMagic)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fault.Usage(fmt.Sprintf("%s: %v", name, pathReason(err)), "name a log, or - for the standard input")
	}
	head = head[:n]
	whole := io.MultiReader(bytes.NewReader(head), in)
	for _, k := range packed {
		if bytes.HasPrefix(head, []byte(k.magic)) {
			return nil, fault.Usage(fmt.Sprintf("%s is compressed with %s", name, k.what), fmt.Sprintf("unpack it first: %s FILE | cotrain %s -", k.with, command))
		}
	}
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) { // as PowerShell writes
		return transform.NewReader(whole, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder()), nil
	}
	if noText(head) {
		return nil, fault.Usage(name+" is not text", "name the log of a process, in UTF-8 or, with a byte order mark, UTF-16")
	}
	return whole, nil
}

// noText reports whether the head of a file is no text. A log that was cut while its writer went on begins with zeros.
func noText(head []byte) bool {
	head = bytes.TrimLeft(head, "\x00")
	if len(head) < fewestJudged {
		return false
	}
	odd := 0
	for rest := head; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size == 1 || r < ' ' && !bytes.ContainsRune([]byte("\t\n\v\f\r\b\x1b"), r) {
			odd++
		}
		rest = rest[size:]
	}
	return float64(odd) > mostBinary*float64(len(head))
}
