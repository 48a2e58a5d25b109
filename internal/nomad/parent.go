package nomad

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Names that the job file must keep.
const (
	parentPrefix = "cotrain-core-"
	groupName    = "workers"
	// TaskName is the task of every worker.
	TaskName = "trainer"
	// contentKey is the job's meta key that holds the hash of what it was made from.
	contentKey = "cotrain_content"
)

// registerTries is how often a parent is registered again when somebody else changed it in between.
const registerTries = 5

// parent is what is known about one parent job.
type parent struct {
	mu   sync.Mutex // held while it is parsed and registered, so that concurrent calls do it once
	text string     // the job file that it was seen to be made from, "" when it was not seen
}

// EnsureParent makes sure that the parameterized job of this shape exists and is made from the present job file, and
// returns its ID. Once done for a shape it costs a look at the job file, until that changes, [Client.Forget], or a dispatch
// that finds the parent gone. A job file that was broken since it was last used is not used: its last version is.
// The error is [fault.ErrInvalid] when the job file does not parse or lacks what CoTrain relies on.
func (c *Client) EnsureParent(ctx context.Context, shape run.Shape) (string, error) {
	if err := c.checkShape(shape); err != nil {
		return "", err
	}
	id := shape.ParentJob()
	c.mu.Lock()
	p := c.parents[id]
	if p == nil {
		p = &parent{}
		c.parents[id] = p
	}
	c.mu.Unlock()

	p.mu.Lock()
	defer p.mu.Unlock()
	text, err := c.jobText(ctx)
	if err != nil {
		return "", err
	}
	if p.text == text { // the settings do not change
		return id, nil
	}
	vars := c.cfg.Job.variables(shape)
	if err := c.ensure(ctx, id, text, vars, contentHash(text, vars)); err != nil {
		return "", err
	}
	p.text = text
	return id, nil
}

// Forget makes the next EnsureParent of this parent job look at Nomad again.
func (c *Client) Forget(parentID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.parents, parentID)
}

// ensure registers the parent unless Nomad has it with the content wanted. The job file is parsed at most once.
func (c *Client) ensure(ctx context.Context, id, text, vars, want string) error {
	var job *api.Job
	for try := 0; ; try++ {
		index, current, err := c.parentContent(ctx, id)
		if err != nil {
			return err
		}
		if current == want {
			return nil
		}
		if job == nil {
			if job, err = c.parse(ctx, text, id, vars); err != nil {
				return err
			}
			job.Meta[contentKey] = want
		}
		err = c.register(ctx, job, index)
		if err == nil {
			c.log.Info("registered parent job", "job", id, "content", want)
			return nil
		}
		// Another console, or a person, registered it since we looked.
		var said *answer
		if !errors.As(err, &said) || !strings.Contains(said.text, "Enforcing job modify index") || try+1 >= registerTries {
			return err
		}
	}
}

// parentContent returns the modify index and the content hash of a parent; index 0 when there is none, hash "" when it
// was stopped or is not ours.
func (c *Client) parentContent(ctx context.Context, id string) (uint64, string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	job, _, err := c.calls.Jobs().Info(id, query(ctx))
	if err = classify("read parent job "+id, err); errors.Is(err, fault.ErrNotFound) {
		return 0, "", nil
	}
	if err != nil {
		return 0, "", err
	}
	index := deref(job.JobModifyIndex)
	if deref(job.Stop) {
		return index, "", nil
	}
	return index, job.Meta[contentKey], nil
}

// parse lets Nomad turn the job file into a job, and checks what CoTrain relies on.
func (c *Client) parse(ctx context.Context, text, id, vars string) (*api.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var job api.Job
	req := api.JobsParseRequest{JobHCL: text, Variables: vars}
	if _, err := c.calls.Raw().Write("/v1/jobs/parse", &req, &job, write(ctx)); err != nil {
		err = classify("parse the job file", err)
		if said := (*answer)(nil); errors.Is(err, fault.ErrInvalid) && errors.As(err, &said) {
			why := strings.TrimPrefix(said.text, "Failed to parse job: ")
			err = unusable(c.jobFileName(), strings.ReplaceAll(why, parsedAs, filepath.Base(c.jobFileName()))).Because(said)
		}
		return nil, err
	}
	if missing := c.lacks(&job, id); missing != "" {
		return nil, unusable(c.jobFileName(), missing)
	}
	if job.Meta == nil {
		job.Meta = map[string]string{}
	}
	if c.cfg.Namespace != "" {
		job.Namespace = &c.cfg.Namespace
	}
	return &job, nil
}

// lacks says what an edited job file broke, or "".
func (c *Client) lacks(job *api.Job, id string) string {
	if deref(job.ID) != id {
		return fmt.Sprintf("its ID is %q where var.job_id is %q; keep id = var.job_id", clean(deref(job.ID)), id)
	}
	if job.ParameterizedJob == nil {
		return "it has no parameterized block"
	}
	for _, g := range job.TaskGroups {
		if g == nil || deref(g.Name) != groupName {
			continue
		}
		for _, t := range g.Tasks {
			if t != nil && t.Name == TaskName {
				return ""
			}
		}
		return fmt.Sprintf("its group %q has no task %q", groupName, TaskName)
	}
	return fmt.Sprintf("it has no group %q", groupName)
}

// register stores the job if its modify index is still the one seen.
func (c *Client) register(ctx context.Context, job *api.Job, index uint64) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	opts := api.RegisterOptions{EnforceIndex: true, ModifyIndex: index}
	_, _, err := c.calls.Jobs().RegisterOpts(job, &opts, write(ctx))
	return classify("register parent job "+deref(job.ID), err)
}

func deref[T any](p *T) T {
	var v T
	if p != nil {
		v = *p
	}
	return v
}
