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

// readFile reads a whole file, but no device, which may have no end, and no named pipe, which may have no writer. A pipe that the
// shell has opened, as in <(command), is read.
func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	refuse := func(why string) error { return &fs.PathError{Op: "read", Path: name, Err: errors.New(why)} }
	opened := strings.HasPrefix(name, "/dev/fd/") || strings.HasPrefix(name, "/proc/self/fd/") || name == "/dev/stdin"
	switch mode := info.Mode(); {
	case mode.IsRegular():
	case mode.IsDir():
		return nil, refuse("is a folder, not a file")
	case mode&fs.ModeNamedPipe != 0 && !opened:
		return nil, refuse("is a named pipe, not a file")
	case mode&fs.ModeSocket != 0:
		return nil, refuse("is a socket, not a file")
	case mode&fs.ModeDevice != 0 && !opened:
		return nil, refuse("is a device, not a file")
	}
	f, err := os.Open(name) // #nosec G304 -- the user names it
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = refuse(fmt.Sprintf("has more than %d bytes", maxFile))
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
