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
	// maxJobFile bounds a job file, in bytes: what a Nomad agent keeps of one (server.job_max_source_size).
	maxJobFile = 1_000_000
	// jobFileEvery is the time between two looks at the site's job file, for those who edit it.
	jobFileEvery = 5 * time.Second
	// builtIn names the job file that comes with CoTrain.
	builtIn = "cotrain-core.nomad.hcl"
	// parsedAs is what Nomad calls the file in its messages.
	parsedAs = "input.hcl"
)

// jobFile is the site's job file: the newest version of it that can be used.
type jobFile struct {
	mu     sync.Mutex // held while a version is tried, so that concurrent calls do it once
	usable string     // "" until a version was tried
	broken string     // the newest version that cannot be used, "" when it cannot even be read
	err    error      // why the file, as it is now, is not used
}

// jobFileName is the job file as whoever runs the console knows it.
func (c *Client) jobFileName() string { return orDefault(c.cfg.Job.File, builtIn) }

// WatchJobFile looks at the site's job file now and then, until ctx ends, so that whoever edits it hears of a mistake
// before the next run is sent.
func (c *Client) WatchJobFile(ctx context.Context) error {
	tick := time.NewTicker(jobFileEvery)
	defer tick.Stop()
	for c.cfg.Job.File != "" {
		_, _ = c.jobText(ctx) // says by itself what is wrong
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	<-ctx.Done()
	return nil
}

// jobText is the text of the job file: as it is now, or, when that cannot be used, as it was when it last could. Without
// such a version the error says what is wrong.
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
		if _, err = c.parse(ctx, text, one.ParentJob(), c.cfg.Job.variables(one)); err != nil && !errors.Is(err, fault.ErrInvalid) {
			return "", err // Nomad could not be asked
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
		return "", err
	}
	return f.usable, nil
}

// unusable says why a job file cannot be used.
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
