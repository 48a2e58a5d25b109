package nomad

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad/failover"
	"github.com/cotrain/cotrain/internal/run"
)

// MaxPayload is Nomad's DispatchPayloadSizeLimit, in bytes.
const MaxPayload = 16 * 1024

// dispatchTries bounds repeats of a dispatch whose child was never stored.
const dispatchTries = 3

// Dispatch is an attempt to start.
type Dispatch struct {
	Parent string // from EnsureParent
	Token  string // run.Attempt.Token
	First  bool   // nobody else has sent or is sending the token
	// MaybeSent is true when Nomad may have the token's child.
	MaybeSent bool
	RunID     run.ID
	Attempt   int
	Payload   []byte // the TOML
	Resume    string // or ""

	Priority int               // 1 to 100; 0 for the parent's
	Env      map[string]string // added to the trainer's
	Args     []string          // after the configuration
	Secrets  []run.SecretRef   // for the environment; those in Vault need a shape with it
	// CheckpointPath is the configuration's ckpt.path, or "". Each DiLoCo worker saves into its own folder below, since
	// shards have equal names.
	CheckpointPath string
}

// Dispatch starts an attempt and returns the ID of its child job, which exists. The same token gives the same child. The
// error is [fault.ErrInvalid] for a bad payload and [ErrParentMissing] if the parent is gone.
func (c *Client) Dispatch(ctx context.Context, d Dispatch) (string, error) {
	if n := len(d.Payload); n == 0 || n > MaxPayload {
		return "", fmt.Errorf("configuration of %d bytes: %w: Nomad takes 1 to %d; shorten comments or lists of data sets", n, fault.ErrInvalid, MaxPayload)
	}
	meta, err := d.Meta()
	if err != nil {
		return "", err
	}
	return c.dispatch(ctx, d, meta)
}

// dispatch sends d with a meta of its own until its child exists.
func (c *Client) dispatch(ctx context.Context, d Dispatch, meta map[string]string) (string, error) {
	doing := "dispatch " + d.Token
	for try := 0; try < dispatchTries; try++ {
		child, eval, err := c.dispatchOnce(ctx, d, meta)
		if failover.Lost(err) && try+1 < dispatchTries {
			d.First = false // what the lost call does may still be under way
			continue
		}
		if err = c.ofNamespace(c.namespace(d.Parent), classify(doing, err)); err != nil {
			if errors.Is(err, ErrParentMissing) {
				c.Forget(d.Parent)
			}
			return "", err
		}
		if eval == "" {
			return child, nil // found in Nomad's state
		}
		if d.First {
			return child, nil // stored, as there was no rival call
		}
		// Of two racing calls with one token, the loser gets IDs of a child and an evaluation that were never stored.
		// Look for the evaluation, which is small; the child carries scripts and payload.
		found, err := c.evaluationExists(ctx, d.Parent, eval)
		if err != nil {
			return "", err
		}
		if found {
			return child, nil
		}
	}
	return "", fmt.Errorf("%s: Nomad named a child job and has none after %d tries: %w", doing, dispatchTries, fault.ErrNomadUnreachable)
}

// DispatchRun ensures the shape's parent and dispatches, making a vanished parent again; d.Parent is ignored. It returns
// both IDs. If the parent is refused, a dispatch that may have been sent goes to the existing parent, to find its child.
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

// dispatchOnce returns the child and its evaluation, "" if the token was used before.
func (c *Client) dispatchOnce(ctx context.Context, d Dispatch, meta map[string]string) (child, eval string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	w := c.change(ctx, d.Parent)
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

func (c *Client) evaluationExists(ctx context.Context, parentID, id string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var eval struct{ ID string }
	_, err := c.calls.Raw().Query("/v1/evaluation/"+url.PathEscape(id), &eval, c.about(ctx, parentID))
	if err = c.ofNamespace(c.namespace(parentID), classify("read evaluation "+id, err)); errors.Is(err, fault.ErrNotFound) {
		return false, nil
	}
	return err == nil && eval.ID == id, err
}

// Stop sends SIGTERM to a child job, and SIGKILL after the kill time-out. A job that has ended or is gone is no error.
func (c *Client) Stop(ctx context.Context, childID string) error {
	return c.deregister(ctx, "stop job ", childID, false)
}

// Kill stops a child job, and kills its workers at once. Workers that have ended meanwhile are no error. With ACLs the token needs
// alloc-lifecycle.
func (c *Client) Kill(ctx context.Context, childID string) error {
	if err := c.Stop(ctx, childID); err != nil { // first: else their end is a failure
		return err
	}
	workers, _, err := c.Workers(ctx, childID)
	if err != nil {
		return err
	}
	var errs []error
	for _, w := range workers {
		if !w.State.Terminal() && w.Started {
			errs = append(errs, c.Signal(ctx, childID, w.AllocID, "SIGKILL"))
		}
	}
	return errors.Join(errs...)
}

// Signal sends a signal to the trainer of a worker. One that has ended meanwhile is no error. With ACLs the token needs alloc-lifecycle.
func (c *Client) Signal(ctx context.Context, childID, allocID, signal string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := classify("send "+signal+" to worker "+allocID, c.calls.Allocations().Signal(&api.Allocation{ID: allocID}, c.about(ctx, childID), TaskName, signal))
	if said := (*answer)(nil); errors.Is(err, fault.ErrNotFound) || errors.As(err, &said) && strings.Contains(said.text, "not running") {
		return nil // it has ended
	}
	return err
}

// Purge stops a child job and removes it from Nomad.
func (c *Client) Purge(ctx context.Context, childID string) error {
	return c.deregister(ctx, "purge job ", childID, true)
}

func (c *Client) deregister(ctx context.Context, doing, childID string, purge bool) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, _, err := c.calls.Jobs().Deregister(childID, purge, c.change(ctx, childID))
	if err = c.ofNamespace(c.namespace(childID), classify(doing+childID, err)); errors.Is(err, fault.ErrNotFound) {
		return nil
	}
	return err
}
