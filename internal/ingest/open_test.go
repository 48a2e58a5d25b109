package ingest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/feed"
)

// TestAProgressBarIsSeenWhileItIsDrawn rewrites one line by carriage returns, for longer than a line may be.
func TestAProgressBarIsSeenWhileItIsDrawn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	sub := r.hub.Subscribe(map[string]int64{feed.RunTopic(r.id): -1})
	defer sub.Close()
	var lines []string
	shows := func(want string) {
		t.Helper()
		for {
			ms, err := sub.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range ms {
				if m.Type != feed.LogType {
					continue
				}
				var l feed.Log
				if err := json.Unmarshal(m.Data, &l); err != nil {
					t.Fatal(err)
				}
				for _, line := range l.Lines {
					lines = append(lines, line.Text)
				}
				for _, open := range l.Open {
					if open.Text == want && open.Rank == 0 && open.Stream == "stdout" {
						return
					}
				}
			}
		}
	}
	r.follow(0)
	r.cluster.Print(r.child, 0, "loading\n\r 10%|#    | 1/10")
	shows(" 10%|#    | 1/10")
	r.cluster.Print(r.child, 0, "\r 20%|##   | 2/10")
	shows(" 20%|##   | 2/10")
	r.cluster.Print(r.child, 0, "\r"+strings.Repeat("\r 30%|###  | 3/10", 5000)) // stored in pieces meanwhile
	r.cluster.Print(r.child, 0, "\r 90%|#### | 9/10\r")
	shows(" 90%|#### | 9/10")
	r.cluster.Print(r.child, 0, "\r100%|#####| 10/10\n"+metric(1, 2))
	shows("")
	r.end(0)
	stored := strings.Join(r.lines(0), "\n")
	if n := strings.Count(stored, "10%|#  "); n != 1 || strings.Count(stored, "| 3/10") != 5000 || strings.Count(stored, "10/10") != 1 {
		t.Errorf("the first state is stored %d times, and the others %d and %d", n, strings.Count(stored, "| 3/10"), strings.Count(stored, "10/10"))
	}
	if len(r.points("loss")) != 1 || lines[0] != "loading" {
		t.Errorf("%d points; viewers saw the lines %.60q", len(r.points("loss")), lines)
	}
}
