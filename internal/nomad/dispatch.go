package nomad

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// MaxPayload is the largest payload that Nomad takes, in bytes (DispatchPayloadSizeLimit, 16 KiB).
const MaxPayload = 16 * 1024

// dispatchTries is how often a dispatch is repeated with its token when the child it names was never stored.
const dispatchTries = 3

// Dispatch is one attempt to be started.
type Dispatch struct {
	Parent string // job ID from EnsureParent
	Token  string // idempotency token, run.Attempt.Token
	First  bool   // nobody has sent the token before, and nobody else sends it now
	// MaybeSent is true when Nomad may have a child of the token already.
	MaybeSent bool
	RunID     run.ID
	Attempt   int
	Payload   []byte // the TOML
	Resume    string // checkpoint folder to resume from, or ""

	Priority int               // 1 to 100; 0 for the parent's
	Env      map[string]string // more environment for the trainer
	Args     []string          // more arguments, after the configuration
	Secrets  string            // path of a Nomad variable whose items become environment, or ""
	// CheckpointPath is the configuration's ckpt.path, or "". With it each worker of a DiLoCo run saves into a folder of
	// its own below: the shards of two workers have the same names.
	CheckpointPath string
}

// Dispatch starts an attempt and returns the ID of its child job, which is known to exist. Calling it again with the same
// token returns the same child. The error is [fault.ErrInvalid] when the payload is empty or too long, and [ErrParentMissing]
// when the parent is gone.
func (c *Client) Dispatch(ctx context.Context, d Dispatch) (string, error) {
	if n := len(d.Payload); n == 0 || n > MaxPayload {
		return "", fmt.Errorf("configuration of %d bytes: %w: Nomad takes 1 to %d; shorten comments or lists of data sets", n, fault.ErrInvalid, MaxPayload)
	}
	doing := "dispatch " + d.Token
	meta, err := d.Meta()
	if err != nil {
		return "", err
	}
	for try := 0; try < dispatchTries; try++ {
		child, eval, err := c.dispatchOnce(ctx, d, meta)
		if err = classify(doing, err); err != nil {
			if errors.Is(err, ErrParentMissing) {
				c.Forget(d.Parent)
			}
			return "", err
		}
		if eval == "" {
			return child, nil // the token's child, found in Nomad's state
		}
		if d.First {
			return child, nil // Nomad answers a call that has no rival after it has stored the child
		}
		// Two calls with one token may race: the loser is told the IDs of a child and an evaluation that were never stored.
		// They are stored together, and an evaluation is small, where a child carries the scripts and the payload.
		found, err := c.evaluationExists(ctx, eval)
		if err != nil {
			return "", err
		}
		if found {
			return child, nil
		}
	}
	return "", fmt.Errorf("%s: Nomad named a child job and has none after %d tries: %w", doing, dispatchTries, fault.ErrNomadAway)
}

// DispatchRun ensures the shape's parent and dispatches; when the parent vanished since it was seen it is made again.
// d.Parent is ignored. It returns the parent's and the child's ID. When the parent is refused, a dispatch that may have been
// sent goes to the one that Nomad has: its child must be found, for its workers may be training.
func (c *Client) DispatchRun(ctx context.Context, shape run.Shape, d Dispatch) (parentID, childID string, err error) {
	for try := 0; ; try++ {
		var refused error
		d.Parent, refused = c.EnsureParent(ctx, shape)
		if refused != nil && (!d.MaybeSent || errors.Is(refused, fault.ErrUnavailable)) {
			return "", "", refused
		}
		d.Parent = shape.ParentJob()
		childID, err = c.Dispatch(ctx, d)
		if refused != nil && err != nil && !errors.Is(err, fault.ErrUnavailable) {
			return "", "", refused
		}
		if err == nil || !errors.Is(err, ErrParentMissing) || try > 0 {
			return d.Parent, childID, err
		}
	}
}

// dispatchOnce returns the child's ID and that of its evaluation, "" when the token has been used before.
func (c *Client) dispatchOnce(ctx context.Context, d Dispatch, meta map[string]string) (child, eval string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	w := write(ctx)
	w.IdempotencyToken = d.Token
	resp, _, err := c.calls.Jobs().DispatchOpts(&api.DispatchOptions{JobID: d.Parent, Meta: meta, Payload: d.Payload, Priority: d.Priority}, w)
	if err != nil {
		return "", "", err
	}
	if resp.DispatchedJobID == "" {
		return "", "", &answer{code: 200, text: "a dispatch without a child job"}
	}
	return resp.DispatchedJobID, resp.EvalID, nil
}

func (c *Client) evaluationExists(ctx context.Context, id string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var eval struct{ ID string }
	_, err := c.calls.Raw().Query("/v1/evaluation/"+url.PathEscape(id), &eval, query(ctx))
	if err = classify("read evaluation "+id, err); errors.Is(err, fault.ErrNotFound) {
		return false, nil
	}
	return err == nil && eval.ID == id, err
}

// Stop asks Nomad to stop the child job: SIGTERM now, SIGKILL after the kill time-out. Stopping a job that is over, or
// that does not exist, is no error.
func (c *Client) Stop(ctx context.Context, childID string) error {
	return c.deregister(ctx, "stop job ", childID, false)
}

// Purge stops the child job and removes it from Nomad's state.
func (c *Client) Purge(ctx context.Context, childID string) error {
	return c.deregister(ctx, "purge job ", childID, true)
}

func (c *Client) deregister(ctx context.Context, doing, childID string, purge bool) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, _, err := c.calls.Jobs().Deregister(childID, purge, write(ctx))
	if err = classify(doing+childID, err); errors.Is(err, fault.ErrNotFound) {
		return nil
	}
	return err
}
