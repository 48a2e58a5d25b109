package run

import (
	"strings"
	"testing"
	"time"
)

func TestWhatFollowsTheLossOfAWorker(t *testing.T) {
	t.Parallel()
	lost := Worker{Rank: 1, State: WorkerFailed, Cause: &Cause{}}
	ws := []Worker{{Rank: 0, State: WorkerRunning}, lost, {Rank: 2, State: WorkerRunning}}
	for _, tc := range []struct {
		state State
		rank  int
		inner int64
		ws    []Worker
		want  string
	}{
		{Degraded, 1, 5, ws, "2 of 3 workers train on without it. It is not replaced in this attempt: restart the run to train with all 3 again."},
		{Degraded, 1, 5, ws[:2], "1 of 3 workers trains on without it. It is not replaced in this attempt: restart the run to train with all 3 again."},
		{Degraded, 0, 5, ws, "The others cannot go on without it and are stopped."},
		{Degraded, 1, 0, ws, "The others cannot go on without it and are stopped."},
		{Stopping, 1, 5, ws, "The other workers are being stopped."},
		{Succeeded, 1, 5, ws, "The others finished without it."},
		{Stopped, 1, 5, ws, "The run has ended; its reason says why."},
		{Queued, 1, 5, ws, "The next attempt starts with all 3 workers."},
	} {
		r := Run{State: tc.state, Shape: Shape{Nodes: 3}, InnerSteps: tc.inner, Progress: Progress{UpdatedAt: time.Unix(1000, 0)}}
		lost.Rank = tc.rank
		if got := r.AfterLoss(tc.ws, lost); got != tc.want {
			t.Errorf("worker %d of a run that is %s: %q, want %q", tc.rank, tc.state, got, tc.want)
		}
	}
}

// TestNobodyIsSaidToTrainWhoDoesNot has the others wait, or hang, after one has ended.
func TestNobodyIsSaidToTrainWhoDoesNot(t *testing.T) {
	t.Parallel()
	lost := Worker{Rank: 1, State: WorkerFailed, EndedAt: time.Unix(1000, 0)}
	ws := []Worker{{Rank: 0, State: WorkerRunning}, lost, {Rank: 2, State: WorkerRunning}}
	r := Run{State: Degraded, Shape: Shape{Nodes: 3}, InnerSteps: 5, Progress: Progress{UpdatedAt: time.Unix(999, 0)}}
	for _, tc := range []struct {
		ws      []Worker
		notices []Notice
		updated int64
		want    string
	}{
		{ws, nil, 999, "2 of 3 workers are left, without a step since then."},
		{ws[:2], nil, 999, "1 of 3 workers is left, without a step since then."},
		{ws[:2], []Notice{{Kind: NoticeHang}}, 1004, "1 of 3 workers is left, and no step comes."},
		{ws, []Notice{{Kind: NoticeHang, Rank: 2}}, 1004, "2 of 3 workers train on without it."},
	} {
		if r.Notices, r.Progress.UpdatedAt = tc.notices, time.Unix(tc.updated, 0); !strings.HasPrefix(r.AfterLoss(tc.ws, lost), tc.want) {
			t.Errorf("%q, want %q", r.AfterLoss(tc.ws, lost), tc.want)
		}
	}
}

func TestLossesAreInTheOrderOfTheirEnds(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1000)
	got := Losses([]Worker{{Rank: 0}, {Rank: 1, EndedAt: at.Add(time.Second), Cause: &Cause{}}, {Rank: 2, EndedAt: at, Cause: &Cause{}}})
	if len(got) != 2 || got[0].Rank != 2 || got[1].Rank != 1 {
		t.Errorf("%+v", got)
	}
}
