package feed

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

func TestAnOlderStateOfARunIsNotToldAfterANewerOne(t *testing.T) {
	t.Parallel()
	h := NewHub(time.Now)
	topics := []string{RunTopic("r-0000000001"), SweepTopic("s-0000000001"), RunsTopic}
	since := map[string]int64{}
	for _, name := range topics {
		since[name] = -1
	}
	s := h.Subscribe(since)
	defer s.Close()
	publish := func(revision int64) {
		h.PublishRun(run.Run{ID: "r-0000000001", Revision: revision, Attempt: int(revision), Origin: run.Origin{Sweep: "s-0000000001"}})
	}
	publish(3)
	publish(2) // read before the other was stored
	publish(3)
	h.PublishRun(run.Run{ID: "r-0000000002", Revision: 1, Attempt: 1})
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() { publish(int64(100 - i)) })
	}
	wg.Wait()
	ms, err := s.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	last := map[string]int{}
	for _, m := range ms {
		var r run.Run
		if err := json.Unmarshal(m.Data, &r); err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprint(m.Topic, " ", r.ID)
		if r.Attempt < last[key] {
			t.Errorf("%s: %d after %d", key, r.Attempt, last[key])
		}
		last[key] = r.Attempt
	}
	for _, name := range topics {
		if got := last[fmt.Sprint(name, " r-0000000001")]; got != 100 {
			t.Errorf("%s ends with %d", name, got)
		}
	}
	if last["runs r-0000000002"] != 1 {
		t.Error("a run waits for another's revision")
	}
}

func TestRevisionsOfManyRunsAreBounded(t *testing.T) {
	t.Parallel()
	var n newest
	told := 0
	for i := range 3 * rememberedRuns {
		n.publish(run.Run{ID: run.ID(fmt.Sprint(i)), Revision: 2}, func() { told++ })
		n.publish(run.Run{ID: run.ID(fmt.Sprint(i)), Revision: 1}, func() { t.Error("an older state") })
	}
	if told != 3*rememberedRuns || len(n.now)+len(n.last) > 2*rememberedRuns {
		t.Errorf("%d were told, %d are remembered", told, len(n.now)+len(n.last))
	}
}
