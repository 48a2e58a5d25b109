package runs

import (
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

func TestTheCountdownToARestartSaysWhatItCountsTo(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	n := run.Notice{Kind: run.NoticeHang, Text: "worker 1 hangs", Next: "It is restarted unless it goes on.", At: now.Add(time.Minute)}
	var b strings.Builder
	if err := notices(run.Run{State: run.Running, Notices: []run.Notice{n}}, now).Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(b.String()), " ")
	if !strings.Contains(text, "data-notice-at>Restart <time") {
		t.Errorf("the countdown stands alone: %s", text)
	}
}
