package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/cotrain/cotrain/internal/draft"
	"github.com/cotrain/cotrain/internal/run"
)

const runsPath = "/api/v1/runs"

// ProjectsQuery says of which projects to list something.
type ProjectsQuery struct {
	Project []string `query:"project,explode" maxItems:"100" doc:"Only what any of these projects owns; repeat it, or separate with commas. Left out, every project that you may see"`
}

// InProject says of which project something is that has a name there.
type InProject struct {
	Project string `query:"project" maxLength:"63" doc:"Project; left out, default"`
}

// runPath is the address of a run, or of what belongs to it, whatever was given as its ID.
func runPath(id run.ID, rest string) string {
	return runsPath + "/" + url.PathEscape(string(id)) + rest
}

// Submission is a run as a client describes it.
type Submission struct {
	Project string `json:"project,omitempty" maxLength:"63" doc:"Project of the run; left out, that of the run or template that it starts from, or the only one that you may submit to, or default"`
	Name    string `json:"name,omitempty" doc:"Name of the run, 1 to 100 characters; left out, that of the run which is cloned"`
	draft.Source
}

// SubmittedRun is a run that was submitted, with what a dry run would have warned of.
type SubmittedRun struct {
	run.Run
	Warnings []run.FieldError `json:"warnings,omitempty" nullable:"false" doc:"What is allowed and probably not meant"`
}

// SubmitRun submits a run. Repeating it with the same key ("" for none) returns the first one's run.
func (c *Client) SubmitRun(ctx context.Context, key string, s Submission) (out SubmittedRun, err error) {
	return out, c.send(ctx, http.MethodPost, runsPath, s, &out, "Idempotency-Key", key)
}

// DryRun asks what would happen to a submission.
func (c *Client) DryRun(ctx context.Context, s Submission) (out run.DryRun, err error) {
	return out, c.send(ctx, http.MethodPost, runsPath+"/dry-run", s, &out)
}

// RunsQuery says which runs to list.
type RunsQuery struct {
	ProjectsQuery
	Owner string   `query:"owner" maxLength:"127" doc:"Only runs that the user with this login name submitted"`
	State []string `query:"state,explode" maxItems:"20" doc:"Only runs in any of these states; repeat it, or separate with commas"`
	Text  string   `query:"text" maxLength:"200" doc:"Only runs whose name, ID, description or a tag contains this, in any case. One or two characters alone match where a word begins. Spaces between words and signs do not count"`
	Sweep string   `query:"sweep" maxLength:"60" doc:"Only runs of the sweep with this ID"`
	Tag   []string `query:"tag,explode" maxItems:"20" doc:"Only runs with all of these tags; repeat it, or separate with commas"`
	Model string   `query:"model" maxLength:"200" doc:"Only runs made from this preset"`
	Node  string   `query:"node" maxLength:"200" doc:"Only runs that had a worker on the node with this name"`
	Since string   `query:"since" maxLength:"40" doc:"Only runs created then or later: RFC 3339, or a date, which begins at midnight UTC"`
	Until string   `query:"until" maxLength:"40" doc:"Only runs created before: RFC 3339, or a date, which begins at midnight UTC"`
	// Archived is no, only or all.
	Archived string `query:"archived" default:"no" enum:"no,only,all" doc:"Whether to list archived runs"`
	Sort     string `query:"sort" maxLength:"150" doc:"Order: created, name, project, owner, model, step, loss, throughput, duration, ended, or metric:NAME:last, low or high, with - in front for the highest first. Runs without a value come last. Left out, the newest first"`
	Before   string `query:"before" maxLength:"400" doc:"Cursor: the next of the previous page, which has the same sort"`
	Limit    int    `query:"limit" default:"50" minimum:"1" maximum:"500"`
}

// RunPage is a page of runs.
type RunPage struct {
	Items []run.Run `json:"items" nullable:"false"`
	Next  string    `json:"next,omitempty" doc:"Cursor of the next page, for before; absent on the last"`
	// Sorted is what the runs are sorted by.
	Sorted map[run.ID]run.Number `json:"sorted,omitempty" doc:"With sort=metric:NAME:last, low or high: that value of each run of the page, by ID; a run that has not reported the metric is left out"`
}

// Runs lists runs.
func (c *Client) Runs(ctx context.Context, q RunsQuery) (RunPage, error) {
	return get[RunPage](ctx, c, runsPath, q)
}

// RunDetail is one run with what belongs to it.
type RunDetail struct {
	Run      run.Run       `json:"run"`
	Workers  []run.Worker  `json:"workers" nullable:"false" doc:"Of the newest attempt, by rank"`
	Attempts []run.Attempt `json:"attempts" nullable:"false" doc:"Oldest first"`
	Next     string        `json:"next,omitempty" doc:"What happens next with a run that has not ended, in a sentence: it waits, is tried again and why, is paused or stopped; nothing where it only goes on"`
	Log      LogState      `json:"log" doc:"How much the run's log takes, and what becomes of it"`
}

// LogState is how much a run's log takes in the archive, and what becomes of it.
type LogState struct {
	run.LogFate
	Text string `json:"text,omitempty" doc:"When and why it is or was deleted, in sentences; nothing where it is kept"`
}

// WorkerList is the workers of a run's newest attempt.
type WorkerList struct {
	Items []run.Worker `json:"items" nullable:"false"`
}

// UsageList is what the workers of a run use.
type UsageList struct {
	Items []Usage `json:"items" nullable:"false" doc:"Workers of which something was measured within the last half minute, by rank; none of a run that has ended"`
}

// Usage is what a worker uses now.
type Usage struct {
	Rank   int                `json:"rank"`
	Node   string             `json:"node"`
	GPUs   int                `json:"gpus" doc:"GPUs that the worker has"`
	Values map[string]float64 `json:"values" doc:"Newest values by metric, without the prefix system/: task_cpu_percent, task_memory_bytes, gpu0/utilization_percent and so on"`
}

// Usage reads what a run's workers use now.
func (c *Client) Usage(ctx context.Context, id run.ID) (UsageList, error) {
	return get[UsageList](ctx, c, runPath(id, "/usage"), nil)
}

// Run reads a run.
func (c *Client) Run(ctx context.Context, id run.ID) (RunDetail, error) {
	return get[RunDetail](ctx, c, runPath(id, ""), nil)
}

// Stopped is a run that somebody has asked to stop, and what happens next.
type Stopped struct {
	run.Run
	Next string `json:"next" doc:"What happens next, in a sentence"`
}

// StopRun stops a run, and returns it as it is then.
func (c *Client) StopRun(ctx context.Context, id run.ID) (out Stopped, err error) {
	return out, c.send(ctx, http.MethodPost, runPath(id, "/stop"), nil, &out)
}

// KillRun ends a run without time for its workers to save, and returns it as it is then.
func (c *Client) KillRun(ctx context.Context, id run.ID) (out Stopped, err error) {
	return out, c.send(ctx, http.MethodPost, runPath(id, "/stop?force=true"), nil, &out)
}

// Acted is a run after an action, and what happens next.
type Acted struct {
	Run  run.Run `json:"run"`
	Next string  `json:"next" doc:"What happens next, in a sentence"`
}

// Act pauses, resumes, restarts or retries a run, with when or from in the query.
func (c *Client) Act(ctx context.Context, id run.ID, a run.Act, query url.Values) (out Acted, err error) {
	path := runPath(id, "/"+string(a))
	if q := query.Encode(); q != "" {
		path += "?" + q
	}
	return out, c.send(ctx, http.MethodPost, path, nil, &out)
}

// EditRun changes what people add to a run, and returns it as it is then.
func (c *Client) EditRun(ctx context.Context, id run.ID, e run.Edit) (out run.Run, err error) {
	return out, c.send(ctx, http.MethodPatch, runPath(id, ""), e, &out)
}

// BulkRuns names the runs of an action on many.
type BulkRuns struct {
	Runs []run.ID `json:"runs" minItems:"1" maxItems:"1000" nullable:"false" doc:"IDs of the runs"`
}

// BulkEdit is an edit of many runs.
type BulkEdit struct {
	BulkRuns
	Edit run.Edit `json:"edit"`
}

// BulkPause is a pause of many runs.
type BulkPause struct {
	BulkRuns
	When string `json:"when,omitempty" doc:"checkpoint: once every worker has saved the next checkpoint, which is what happens without it; now: at once"`
}

// PauseRuns pauses each of many runs.
func (c *Client) PauseRuns(ctx context.Context, ids []run.ID, when run.PauseWhen) (out run.BulkResult, err error) {
	return out, c.send(ctx, http.MethodPost, runsPath+"/bulk/pause", BulkPause{BulkRuns{ids}, string(when)}, &out)
}

// ResumeRuns resumes each of many runs.
func (c *Client) ResumeRuns(ctx context.Context, ids []run.ID) (out run.BulkResult, err error) {
	return out, c.send(ctx, http.MethodPost, runsPath+"/bulk/resume", BulkRuns{ids}, &out)
}

// EditRuns changes what people add to each of many runs.
func (c *Client) EditRuns(ctx context.Context, ids []run.ID, e run.Edit) (out run.BulkResult, err error) {
	return out, c.send(ctx, http.MethodPost, runsPath+"/bulk/edit", BulkEdit{BulkRuns{ids}, e}, &out)
}

// StopRuns stops each of many runs.
func (c *Client) StopRuns(ctx context.Context, ids []run.ID) (out run.BulkResult, err error) {
	return out, c.send(ctx, http.MethodPost, runsPath+"/bulk/stop", BulkRuns{ids}, &out)
}

// DeleteRuns deletes each of many runs.
func (c *Client) DeleteRuns(ctx context.Context, ids []run.ID) (out run.BulkResult, err error) {
	return out, c.send(ctx, http.MethodPost, runsPath+"/bulk/delete", BulkRuns{ids}, &out)
}

// DeleteRun deletes a run that has ended.
func (c *Client) DeleteRun(ctx context.Context, id run.ID) error {
	return c.send(ctx, http.MethodDelete, runPath(id, ""), nil, nil)
}

// Launch reads what started a run's workers, or will start them.
func (c *Client) Launch(ctx context.Context, id run.ID) (run.Launch, error) {
	return get[run.Launch](ctx, c, runPath(id, "/launch"), nil)
}
