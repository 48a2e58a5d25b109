package localnomad

import (
	"strings"
	"testing"
)

func TestABatchJobRunsToItsEndAndItsLogsCanBeRead(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	resp := a.register(shellJob("hello", `echo "out $NOMAD_ALLOC_INDEX"; echo err >&2`, 3))
	if resp.EvalID == "" || resp.JobModifyIndex == 0 {
		t.Fatalf("register answered %+v", resp)
	}
	for _, al := range a.waitAllocs("hello", clientComplete, 3) {
		index := al.Name[strings.IndexByte(al.Name, '[')+1 : len(al.Name)-1]
		if got := a.logs(al.ID, "main", "stdout"); got != "out "+index+"\n" {
			t.Errorf("%s: stdout is %q", al.Name, got)
		}
		if got := a.logs(al.ID, "main", "stderr"); got != "err\n" {
			t.Errorf("%s: stderr is %q", al.Name, got)
		}
		st := al.TaskStates["main"]
		if st.State != statusDead || st.Failed || st.StartedAt.IsZero() || st.FinishedAt.IsZero() {
			t.Errorf("%s: state is %+v", al.Name, st)
		}
		var kinds []string
		for _, e := range st.Events {
			kinds = append(kinds, e.Type)
		}
		if got := strings.Join(kinds, ","); got != "Received,Task Setup,Started,Terminated" {
			t.Errorf("%s: events are %s", al.Name, got)
		}
	}
	job, _, err := a.client.Jobs().Info("hello", nil)
	if err != nil || *job.Status != statusDead {
		t.Errorf("job is %v, %v", deref(job.Status), err)
	}
}
