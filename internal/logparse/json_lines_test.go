package logparse

import (
	"fmt"
	"strings"
	"testing"
)

func TestMembersOfJSONLines(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ line, want string }{
		{`{"step": 1, "loss": 3.0, "train/loss": 1.0}`, "1 loss=3 train/loss=1"},
		{`{"step": 1, "train/loss": 1.0, "loss": 3.0}`, "1 loss=3 train/loss=1"},
		{`{"step": 1, "train/loss": 1.0, "training/loss": 3.0}`, "1 loss=3"},
		{`{"step": 1, "loss": 1.0, "loss": 3.0}`, "1 loss=3"},
		{`{'lr': 0.1, 'loss': 3.0, 'learning_rate': 0.2, 'epoch': 0.5}`, "learning_rate=0.2 loss=3 lr=0.1 epoch=0.5"},
		{`{"step":8,"accuracy":0.5}`, "8 accuracy=0.5"},
		{`{"step": 2, "m1": 1, "split": "train", "time": 1767323045.5}`, "2 m1=1 time=1.7673230455e+09"},
		{`{"step": 8, "metrics": {"accuracy": 0.5}}`, "8 accuracy=0.5"},
		{`{"step": 4, "event": "checkpoint", "bytes": 1234}`, ""},
		{`{"step": 4, "shape": [1, 2], "rows": 3}`, ""},
		{`{"step": 5, "enabled": true, "size": 3}`, ""},
		{`{"step": 4, "rank": 0}`, ""},
		{`{"step": 4, "time": 1767323045.5}`, ""},
		{`{"accuracy": 0.5}`, ""},
	} {
		var p Parser
		var got []string
		if res := p.Line([]byte(tt.line)); res.Kind == KindSample {
			if res.Sample.HasStep {
				got = append(got, fmt.Sprint(res.Sample.Step))
			}
			for _, m := range res.Sample.Metrics {
				got = append(got, fmt.Sprintf("%s=%v", m.Name, m.Value))
			}
		}
		if got := strings.Join(got, " "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.line, got, tt.want)
		}
	}
}
