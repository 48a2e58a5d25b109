package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/cotrain/cotrain/internal/draft"
	"github.com/cotrain/cotrain/internal/run"
)

const sweepsPath = "/api/v1/sweeps"

// sweepPath is the address of a sweep, or of what belongs to it, whatever was given as its ID.
func sweepPath(id run.SweepID, rest string) string {
	return sweepsPath + "/" + url.PathEscape(string(id)) + rest
}

// SweepInput is a sweep as a client describes it: what its runs have in common, and how they differ.
type SweepInput struct {
	Project string `json:"project,omitempty" maxLength:"63" doc:"Project of the sweep; left out, that of the run or template that it starts from, or the only one that you may submit to, or default"`
	Name    string `json:"name" doc:"Name of the sweep; its runs add their number"`
	draft.Source
	Grid     []run.Axis          `json:"grid,omitempty" maxItems:"20" doc:"Every combination of these values, the last field fastest"`
	List     []map[string]string `json:"list,omitempty" maxItems:"500" doc:"Instead of a grid: the values of each run, by field"`
	Parallel int                 `json:"parallel,omitempty" minimum:"0" maximum:"500" doc:"The most runs that are sent to Nomad at one time; 0 for no limit"`
}

// SubmittedSweep is a sweep that was submitted, with what its runs are warned of.
type SubmittedSweep struct {
	run.Sweep
	Warnings []run.FieldError `json:"warnings,omitempty" nullable:"false" doc:"What is allowed and probably not meant, once for all runs that it is said of"`
}

// SubmitSweep submits a sweep. Repeating it with the same key ("" for none) returns the first one's.
func (c *Client) SubmitSweep(ctx context.Context, key string, in SweepInput) (out SubmittedSweep, err error) {
	return out, c.send(ctx, http.MethodPost, sweepsPath, in, &out, "Idempotency-Key", key)
}

// SweepsQuery says which sweeps to list.
type SweepsQuery struct {
	ProjectsQuery
	Before string `query:"before" maxLength:"60" doc:"Cursor: the next of the previous page"`
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"500"`
}

// SweepPage is a page of sweeps.
type SweepPage struct {
	Items []run.Sweep `json:"items" nullable:"false"`
	Next  run.SweepID `json:"next,omitempty" doc:"Cursor of the next page, for before; absent on the last"`
}

// Sweeps lists sweeps, newest first.
func (c *Client) Sweeps(ctx context.Context, q SweepsQuery) (SweepPage, error) {
	return get[SweepPage](ctx, c, sweepsPath, q)
}

// SweepDetail is a sweep with its runs.
type SweepDetail struct {
	Sweep run.Sweep  `json:"sweep"`
	Runs  []SweepRun `json:"runs" nullable:"false" doc:"In the order of the sweep's points"`
}

// SweepRun is what a table of a sweep shows of a run.
type SweepRun struct {
	ID         run.ID            `json:"id"`
	Name       string            `json:"name"`
	Values     map[string]string `json:"values" nullable:"false" doc:"What was varied, by field"`
	State      run.State         `json:"state"`
	Reason     string            `json:"reason,omitempty"`
	StepsTotal int64             `json:"steps_total"`
	Progress   run.Progress      `json:"progress" doc:"Its newest step, loss and tokens per second"`
}

// Sweep reads a sweep.
func (c *Client) Sweep(ctx context.Context, id run.SweepID) (SweepDetail, error) {
	return get[SweepDetail](ctx, c, sweepPath(id, ""), nil)
}

// StopSweep stops the runs of a sweep, and returns it as it is then.
func (c *Client) StopSweep(ctx context.Context, id run.SweepID) (out run.Sweep, err error) {
	return out, c.send(ctx, http.MethodPost, sweepPath(id, "/stop"), nil, &out)
}

// DeleteSweep deletes a sweep whose runs have ended, with them.
func (c *Client) DeleteSweep(ctx context.Context, id run.SweepID) error {
	return c.send(ctx, http.MethodDelete, sweepPath(id, ""), nil, nil)
}
