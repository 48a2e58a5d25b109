package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
)

type storageGetCmd struct {
	Remote     `embed:""`
	storageArg `embed:""`
	Output     string `short:"o" placeholder:"FILE" help:"File to write, - for stdout; without it, one of the same name here."`
	Force      bool   `help:"Replace a file that is there."`
}

// Run downloads the file. Until it is whole, its name ends in .part.
func (c *storageGetCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	place, err := c.place(p)
	if err != nil {
		return err
	}
	out := c.Output
	if out == "" {
		if out = path.Base(place.Path); place.Path == "" || out == "." || out == ".." {
			return fault.Usage(fmt.Sprintf("%q does not name a file", c.Path), `name one, such as models/final/m/config.json`)
		}
		out = "." + string(filepath.Separator) + strings.ReplaceAll(out, string(filepath.Separator), "_")
	}
	if out == "-" {
		_, err := cl.Download(ctx, place, p.stdout)
		return err
	}
	if _, err := os.Lstat(out); err == nil && !c.Force {
		return fault.Usage(p.text(out)+" is there already", "add --force to replace it, or name another file with --output")
	}
	n, err := keepFile(out, func(f *os.File) (int64, error) { return cl.Download(ctx, place, f) })
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(map[string]any{"file": out, "bytes": n})
	}
	return p.print("%s  %s\n", p.text(out), bytesText(n))
}

// keepFile writes a file that has its name once it is whole.
func keepFile(out string, write func(*os.File) (int64, error)) (n int64, err error) {
	part := out + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666) // #nosec G302 G304 -- the user names it, and umask says who reads it
	if err != nil {
		return 0, localError(err)
	}
	n, err = write(f)
	if closed := f.Close(); err == nil && closed != nil {
		err = localError(closed)
	}
	if err == nil {
		err = localError(os.Rename(part, out))
	}
	if err != nil {
		if gone := os.Remove(part); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return n, err
}

// localError makes a usage error of what can be fixed by naming another file.
func localError(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrExist) {
		return fault.Usage(err.Error(), "name another file with --output")
	}
	return err
}
