package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
)

// maxFile is the largest file in bytes that any command reads.
const maxFile = 4 << 20

// openFile opens a file, but no device, which may have no end, and no named pipe, which may have no writer. A pipe that the shell has
// opened, as in <(command), is read.
func openFile(name string) (*os.File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	opened := strings.HasPrefix(name, "/dev/fd/") || strings.HasPrefix(name, "/proc/self/fd/") || name == "/dev/stdin"
	switch mode := info.Mode(); {
	case mode.IsRegular():
	case mode.IsDir():
		return nil, unread(name, "is a folder, not a file")
	case mode&fs.ModeNamedPipe != 0 && !opened:
		return nil, unread(name, "is a named pipe, not a file")
	case mode&fs.ModeSocket != 0:
		return nil, unread(name, "is a socket, not a file")
	case mode&fs.ModeDevice != 0 && !opened:
		return nil, unread(name, "is a device, not a file")
	}
	return os.Open(name) // #nosec G304 -- the user names it
}

func unread(name, why string) error {
	return &fs.PathError{Op: "read", Path: name, Err: errors.New(why)}
}

// readFile reads a whole file of at most maxFile bytes.
func readFile(name string) ([]byte, error) {
	f, err := openFile(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = unread(name, fmt.Sprintf("has more than %d bytes", maxFile))
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

// readText reads a file of text of at most limit bytes, or with - the standard input.
func (p *process) readText(what, name string, limit int, advice string) ([]byte, error) {
	var data []byte
	var err error
	if name == "-" {
		data, err = io.ReadAll(io.LimitReader(p.stdin, int64(limit)+1))
	} else {
		data, err = p.readFile(name)
	}
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return nil, fault.Usage(fmt.Sprintf("%s: %v", what, path.Err), "name a file, or - for the standard input")
	case err != nil:
		return nil, fault.Usage(fmt.Sprintf("%s: %v", what, err), "check the path")
	case len(data) > limit:
		return nil, fault.Usage(fmt.Sprintf("%s has more than %d bytes", what, limit), advice)
	case len(strings.TrimSpace(string(data))) == 0:
		return nil, fault.Usage(what+" is empty", advice)
	}
	return data, nil
}
