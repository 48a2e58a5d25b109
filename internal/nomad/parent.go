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
	"github.com/cotrain/cotrain/internal/nomad/failover"
	"github.com/cotrain/cotrain/internal/run"
)

// Names that the job file must keep.
const (
	parentPrefix = "cotrain-core-"
	groupName    = "workers"
	// TaskName is every worker's task.
	TaskName = "trainer"
	// contentKey is the job's meta key for the hash of its sources.
	contentKey = "cotrain_content"
)

// registerTries bounds registering a parent that somebody else keeps changing.
const registerTries = 5

type parent struct {
	mu   sync.Mutex // held while parsing and registering, so that happens once
	text string     // job file it was made from, "" if unknown
}

// EnsureParent registers the shape's parameterized job from the current job file if needed, and returns its ID.
// Afterwards it only checks the job file, until that changes, [Client.Forget], or a dispatch finds the parent gone. If
// the job file has become unusable its last version counts. A job file that does not parse or lacks what CoTrain relies
// on is [fault.ErrInvalid]; it is [ErrJobFile] too unless that is so for this shape alone.
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
	if p.text == text { // settings never change
		return id, nil
	}
	vars := c.cfg.Job.variables(shape)
	parse := func(ctx context.Context) (*api.Job, error) { return c.parse(ctx, text, shape) }
	if err := c.ensure(ctx, id, contentHash(text, vars), parse); err != nil {
		return "", err
	}
	p.text = text
	return id, nil
}

// Forget makes the next EnsureParent of this parent ask Nomad again.
func (c *Client) Forget(parentID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.parents, parentID)
}

// ensure registers the parent unless Nomad has the wanted content. It parses at most once.
func (c *Client) ensure(ctx context.Context, id, want string, parse func(context.Context) (*api.Job, error)) error {
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
			if job, err = parse(ctx); err != nil {
				return err
			}
			job.Meta[contentKey] = want
		}
		err = c.register(ctx, job, index)
		if err == nil {
			c.log.Info("registered parent job", "job", id, "content", want)
			return nil
		}
		// Somebody else registered it meanwhile, or the answer was lost: look which.
		var said *answer
		raced := errors.As(err, &said) && strings.Contains(said.text, "Enforcing job modify index")
		if !raced && !failover.Lost(err) || try+1 >= registerTries {
			return err
		}
	}
}

// parentContent returns a parent's modify index (0 for none) and content hash ("" if stopped or not ours).
func (c *Client) parentContent(ctx context.Context, id string) (uint64, string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	job, _, err := c.calls.Jobs().Info(id, c.about(ctx, id))
	if err = c.ofNamespace(c.namespace(id), classify("read parent job "+id, err)); errors.Is(err, fault.ErrNotFound) {
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

// parse lets Nomad parse the job file of runs and checks what CoTrain relies on.
func (c *Client) parse(ctx context.Context, text string, shape run.Shape) (*api.Job, error) {
	job, err := c.parseHCL(ctx, c.jobFileName(), text, c.cfg.Job.variables(shape))
	if err != nil {
		return nil, err
	}
	if missing := lacks(job, shape); missing != "" {
		return nil, unusable(c.jobFileName(), missing)
	}
	if namespace := c.namespace(shape.ParentJob()); namespace != "" {
		job.Namespace = &namespace
	}
	for _, id := range shape.Avoid.List() { // here, so that every site's job file can do it
		job.Constraints = append(job.Constraints, &api.Constraint{LTarget: nodeIDAttr, Operand: "!=", RTarget: id})
	}
	return job, nil
}

// nodeIDAttr is the attribute that names a node.
const nodeIDAttr = "${node.unique.id}"

// parseHCL lets Nomad parse a job file.
func (c *Client) parseHCL(ctx context.Context, file, text, vars string) (*api.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var job api.Job
	req := api.JobsParseRequest{JobHCL: text, Variables: vars}
	if _, err := c.calls.Raw().Write("/v1/jobs/parse", &req, &job, write(ctx)); err != nil {
		err = classify("parse the job file", err)
		if said := (*answer)(nil); errors.Is(err, fault.ErrInvalid) && errors.As(err, &said) {
			why := strings.TrimPrefix(said.text, "Failed to parse job: ")
			err = unusable(file, strings.ReplaceAll(why, parsedAs, filepath.Base(file))).Because(said)
		}
		return nil, err
	}
	if job.Meta == nil {
		job.Meta = map[string]string{}
	}
	return &job, nil
}

// lacks says what an edited job file broke, or "".
func lacks(job *api.Job, shape run.Shape) string {
	id := shape.ParentJob()
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
			if t == nil || t.Name != TaskName {
				continue
			}
			if shape.Vault && t.Vault == nil {
				return fmt.Sprintf("secrets of the run are in Vault, and its task %q has no vault block; take over that and local.secrets from the built-in one", TaskName)
			}
			return ""
		}
		return fmt.Sprintf("its group %q has no task %q", groupName, TaskName)
	}
	return fmt.Sprintf("it has no group %q", groupName)
}

// register stores the job unless its modify index has changed.
func (c *Client) register(ctx context.Context, job *api.Job, index uint64) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	opts := api.RegisterOptions{EnforceIndex: true, ModifyIndex: index}
	_, _, err := c.calls.Jobs().RegisterOpts(job, &opts, c.change(ctx, deref(job.ID)))
	return c.ofNamespace(c.namespace(deref(job.ID)), classify("register parent job "+deref(job.ID), err))
}

func deref[T any](p *T) T {
	var v T
	if p != nil {
		v = *p
	}
	return v
}
