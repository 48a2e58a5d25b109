package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
)

type storageGetCmd struct {
	Remote     `embed:""`
	storageArg `embed:""`
	Output     string `short:"o" placeholder:"FILE" help:"Where to keep it, - for stdout; without it, a file of the same name here."`
	Force      bool   `help:"Replace a file that is there."`
}

// Run downloads the file. What is kept under its name is whole: until then it has the ending .part.
func (c *storageGetCmd) Run(ctx context.Context, p *process) error {
	place, err := c.path()
	if err != nil {
		return err
	}
	out := c.Output
	if out == "" {
		if out = path.Base(place); place == "" || out == "." || out == ".." {
			return fault.Usage(fmt.Sprintf("%q does not name a file", c.Path), `name one, such as models/final/m/config.json`)
		}
		out = "." + string(filepath.Separator) + strings.ReplaceAll(out, string(filepath.Separator), "_")
	}
	cl, err := p.connect(c.Remote)
	if err != nil {
		return err
	}
	if out == "-" {
		_, err := cl.download(ctx, place, p.stdout)
		return err
	}
	if _, err := os.Lstat(out); err == nil && !c.Force {
		return fault.Usage(p.text(out)+" is there already", "add --force to replace it, or name another file with --output")
	}
	n, err := cl.downloadTo(ctx, place, out)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(map[string]any{"file": out, "bytes": n})
	}
	return p.print("%s  %s\n", p.text(out), bytesText(n))
}

// downloadTo keeps a file of shared storage.
func (c *client) downloadTo(ctx context.Context, place, out string) (n int64, err error) {
	part := out + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666) // #nosec G302 G304 -- the user names it, and umask says who reads it
	if err != nil {
		return 0, localError(err)
	}
	n, err = c.download(ctx, place, f)
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

// localError makes what the person can change about their own files a usage error.
func localError(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrExist) {
		return fault.Usage(err.Error(), "name another file with --output")
	}
	return err
}

// maxStall is how long a download may bring nothing.
const maxStall = answerTimeout

// download copies a file of shared storage to w. It may take as long as it takes, as long as something comes.
func (c *client) download(ctx context.Context, place string, w io.Writer) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(maxStall, func() { cancel(&unreachable{c.base, fmt.Errorf("nothing came for %v", maxStall)}) })
	defer watch.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/api/v1/storage/file?"+url.Values{"path": {place}}.Encode(), nil)
	if err != nil {
		return 0, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Accept-Encoding", "identity") // the length of the answer is that of the file
	patient := *c.http
	patient.Timeout = 0
	res, err := patient.Do(req)
	if err != nil {
		return 0, c.lost(ctx, err)
	}
	defer func() { _ = res.Body.Close() }() // read to its end, or given up
	if res.StatusCode != http.StatusOK {
		return 0, c.refused(ctx, res, io.LimitReader(res.Body, maxAnswer))
	}
	n, err := io.Copy(&progress{w, watch}, res.Body)
	var local *writeFailure
	switch {
	case errors.As(err, &local):
		return n, writeError(local.err)
	case err != nil:
		return n, c.lost(ctx, err)
	case res.ContentLength >= 0 && n != res.ContentLength:
		return n, c.lost(ctx, io.ErrUnexpectedEOF)
	}
	return n, nil
}

// progress puts off the end of the patience with each piece, and tells apart which side failed.
type progress struct {
	w     io.Writer
	watch *time.Timer
}

// Write is for [io.Copy].
func (p *progress) Write(b []byte) (int, error) {
	p.watch.Reset(maxStall)
	n, err := p.w.Write(b)
	if err != nil {
		return n, &writeFailure{err}
	}
	return n, nil
}

type writeFailure struct{ err error }

func (e *writeFailure) Error() string { return e.err.Error() }
