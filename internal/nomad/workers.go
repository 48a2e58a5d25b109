package nomad

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/run"
)

// JobState is Nomad's state of a child job. "dead" is not success: judge by the workers.
type JobState struct {
	Status  string // pending, running, dead; "" when not Found
	Stopped bool   // somebody stopped it
	Found   bool   // false once collected
}

// Workers returns all allocations of a child job, by rank, newest first, and the job's state. The caller sets RunID and
// Attempt.
func (c *Client) Workers(ctx context.Context, childID string) ([]run.Worker, JobState, error) {
	state, err := c.jobState(ctx, childID)
	if err != nil {
		return nil, state, err
	}
	stubs, err := c.allocations(ctx, c.about(ctx, childID), "JobID == "+strconv.Quote(childID))
	if err != nil {
		return nil, state, err
	}
	return workersOf(stubs, func(s *api.AllocationListStub) bool { return s.JobID == childID })[childID], state, nil
}

// NewestPerRank keeps each rank's first worker, in the order of [Client.Workers].
func NewestPerRank(workers []run.Worker) []run.Worker {
	var out []run.Worker
	for _, w := range workers {
		if len(out) == 0 || out[len(out)-1].Rank != w.Rank {
			out = append(out, w)
		}
	}
	return out
}

func (c *Client) jobState(ctx context.Context, childID string) (JobState, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	q := c.about(ctx, childID)
	q.Prefix = childID
	jobs, _, err := list[api.JobListStub](c, "read the state of job "+childID, "/v1/jobs", q)
	if err != nil {
		return JobState{}, err
	}
	for _, j := range jobs {
		if j.ID == childID {
			return JobState{Status: j.Status, Stopped: j.Stop, Found: true}, nil
		}
	}
	return JobState{}, nil
}

func (c *Client) allocations(ctx context.Context, q *api.QueryOptions, filter string) ([]*api.AllocationListStub, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	q = q.WithContext(ctx)
	q.Filter = filter
	q.Params["resources"] = "true"
	stubs, _, err := list[api.AllocationListStub](c, "list allocations", "/v1/allocations", q)
	return stubs, err
}

// workersOf groups the kept allocations by job.
func workersOf(stubs []*api.AllocationListStub, keep func(*api.AllocationListStub) bool) map[string][]run.Worker {
	stubs = slices.DeleteFunc(stubs, func(s *api.AllocationListStub) bool {
		return s.TaskGroup != groupName || !keep(s)
	})
	slices.SortFunc(stubs, func(a, b *api.AllocationListStub) int {
		if c := rankOf(a.Name) - rankOf(b.Name); c != 0 {
			return c
		}
		if a.CreateIndex != b.CreateIndex { // newest first
			if a.CreateIndex > b.CreateIndex {
				return -1
			}
			return 1
		}
		return strings.Compare(a.ID, b.ID)
	})
	out := map[string][]run.Worker{}
	for _, s := range stubs {
		if rankOf(s.Name) >= 0 {
			out[s.JobID] = append(out[s.JobID], worker(s))
		}
	}
	return out
}

// rankOf returns the index of an allocation's name, "job.group[3]", or -1.
func rankOf(name string) int {
	open := strings.LastIndexByte(name, '[')
	if open < 0 || !strings.HasSuffix(name, "]") {
		return -1
	}
	n, err := strconv.Atoi(name[open+1 : len(name)-1])
	if err != nil || n < 0 {
		return -1
	}
	return n
}

func worker(s *api.AllocationListStub) run.Worker {
	w := run.Worker{
		AllocID: s.ID, Rank: rankOf(s.Name), NodeID: s.NodeID, NodeName: s.NodeName,
		State: run.WorkerState(s.ClientStatus), Stopping: s.DesiredStatus == api.AllocDesiredStatusStop,
	}
	if s.AllocatedResources != nil {
		w.GPUs = gpusOf(s.AllocatedResources.Tasks[TaskName])
	}
	task := s.TaskStates[TaskName]
	if task == nil {
		task = &api.TaskState{}
	}
	w.Started = !task.StartedAt.IsZero()
	w.StartedAt, w.EndedAt = task.StartedAt.UTC(), task.FinishedAt.UTC()
	if w.State.Terminal() && w.EndedAt.IsZero() && s.ModifyTime > 0 {
		w.EndedAt = time.Unix(0, s.ModifyTime).UTC()
	}
	for _, ev := range task.Events {
		switch {
		case ev == nil:
		case ev.Type == api.TaskTerminated:
			exit(&w, ev)
		case ev.Type == api.TaskDriverMessage: // from the embedded agent only
			w.Unwritten = run.Unwritten{Stdout: byteCount(ev.Details["stdout_lost"]), Stderr: byteCount(ev.Details["stderr_lost"])}
		}
	}
	w.Detail = detail(s, task.Events)
	return w
}

// exit reads a Terminated event. A killed process has code 128 + signal, or 0.
func exit(w *run.Worker, ev *api.TaskEvent) {
	code, signal := ev.ExitCode, ev.Signal
	if n, err := strconv.Atoi(ev.Details["exit_code"]); err == nil {
		code = n
	}
	if n, err := strconv.Atoi(ev.Details["signal"]); err == nil {
		signal = n
	}
	w.Exited, w.ExitCode, w.Signal = true, code, signal
	w.OOM = ev.Details["oom_killed"] == "true"
	if signal != 0 && code == 0 {
		w.ExitCode = 128 + signal
	}
}

func byteCount(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return max(0, n)
}

func gpusOf(task *api.AllocatedTaskResources) []run.GPU {
	if task == nil {
		return nil
	}
	var out []run.GPU
	for _, d := range task.Devices {
		if d == nil {
			continue
		}
		for _, id := range d.DeviceIDs {
			out = append(out, run.GPU{ID: id, Model: deviceName(d.Vendor, d.Type, d.Name)})
		}
	}
	slices.SortFunc(out, func(a, b run.GPU) int { return strings.Compare(a.ID, b.ID) })
	return out
}

func deviceName(vendor, kind, name string) string { return vendor + "/" + kind + "/" + name }

// noise are events that never explain an end.
var noise = []string{api.TaskNotRestarting, api.TaskReceived, api.TaskBuildingTaskDir, api.TaskLeaderDead, api.TaskKilling,
	api.TaskKilled, "Alloc Unhealthy", "Reconnected"}

// detail is Nomad's word on an allocation that is not simply running, else its newest meaningful event.
func detail(s *api.AllocationListStub, events []*api.TaskEvent) string {
	var newest *api.TaskEvent
	for _, ev := range slices.Backward(events) {
		// A failing template is reported in the event of the resulting kill.
		if ev != nil && (!slices.Contains(noise, ev.Type) || ev.Type == api.TaskKilling && ev.Details["fails_task"] == "true") {
			newest = ev
			break
		}
	}
	text := ""
	switch {
	case s.ClientStatus == api.AllocClientStatusLost || s.ClientStatus == api.AllocClientStatusUnknown:
		text = orDefault(s.DesiredDescription, s.ClientDescription)
	case strings.Contains(s.ClientDescription, "max_run_duration"):
		text = s.ClientDescription
	}
	if text == "" && newest != nil {
		text = orDefault(newest.DisplayMessage, newest.Message)
		if newest.Type != api.TaskStarted && newest.Type != api.TaskTerminated && newest.Type != api.TaskKilling && !strings.HasPrefix(text, newest.Type) {
			text = newest.Type + ": " + text
		}
	}
	return clean(orDefault(aboutSecrets(text), s.ClientDescription))
}
