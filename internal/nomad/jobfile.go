package nomad

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/jobs"
)

const (
	// maxJobFile is what a Nomad agent keeps (server.job_max_source_size), in bytes.
	maxJobFile = 1_000_000
	// jobFileEvery is how often the site's job file is checked.
	jobFileEvery = 5 * time.Second
	builtIn      = "cotrain-core.nomad.hcl"
	// parsedAs is Nomad's name for the file.
	parsedAs = "input.hcl"
)

// jobFile is the newest usable version of the site's job file.
type jobFile struct {
	mu     sync.Mutex // held while a version is tried, so that happens once
	usable string     // "" before the first
	broken string     // the newest unusable version, "" if unreadable
	err    error      // why the current file is not used
}

func (c *Client) jobFileName() string { return orDefault(c.cfg.Job.File, builtIn) }

// WatchJobFile checks the site's job file until ctx ends, so that an editor learns of a mistake before the next run.
func (c *Client) WatchJobFile(ctx context.Context) error {
	tick := time.NewTicker(jobFileEvery)
	defer tick.Stop()
	for c.cfg.Job.File != "" {
		_, _ = c.jobText(ctx) // logs what is wrong
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	<-ctx.Done()
	return nil
}

// jobText returns the current job file, or its last usable version, or [ErrJobFile] with what is wrong.
func (c *Client) jobText(ctx context.Context) (string, error) {
	if c.cfg.Job.File == "" {
		return jobs.CotrainCore, nil
	}
	f := &c.file
	f.mu.Lock()
	defer f.mu.Unlock()
	text, err := readJobFile(c.cfg.Job.File)
	switch {
	case err != nil:
	case text == f.usable:
	case f.err != nil && text == f.broken:
		err = f.err
	default:
		one := run.Shape{Nodes: 1}
		if _, err = c.parse(ctx, text, one); err != nil && !errors.Is(err, fault.ErrInvalid) {
			return "", err // Nomad unreachable
		}
	}
	if err == nil {
		f.usable, f.broken = text, ""
	} else {
		f.broken = text
	}
	if changed := (err == nil) != (f.err == nil) || err != nil && err.Error() != f.err.Error(); changed && c.cfg.JobFile != nil {
		c.cfg.JobFile(err, f.usable != "")
	}
	f.err = err
	if err != nil && f.usable == "" {
		return "", fmt.Errorf("%w: %w", ErrJobFile, err)
	}
	return f.usable, nil
}

func unusable(name, why string) *fault.Error {
	return fault.New(fault.ErrNomadRefused, fmt.Sprintf("The job file %s cannot be used: %s.", name, strings.TrimSuffix(why, ".")), "Correct it: it is read again for the next run.")
}

func readJobFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", unusable(path, err.Error())
	}
	if !info.Mode().IsRegular() {
		return "", unusable(path, "it is not a file")
	}
	file, err := os.Open(path)
	if err != nil {
		return "", unusable(path, err.Error())
	}
	defer func() { _ = file.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(file, maxJobFile+1))
	switch {
	case err != nil:
		return "", unusable(path, err.Error())
	case len(text) > maxJobFile:
		return "", unusable(path, fmt.Sprintf("it has more than %d bytes", maxJobFile))
	case len(text) == 0:
		return "", unusable(path, "it is empty")
	}
	return string(text), nil
}
