package ui

import (
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

func TestARowShowsTheGravestNoticeOfALiveRun(t *testing.T) {
	t.Parallel()
	hangs := []run.Notice{{Kind: run.NoticeHang, Text: "worker 1 hangs"}, {Kind: run.NoticeSlow, Text: "worker 2 is slow"}}
	for _, tc := range []struct {
		r     run.Run
		marks []string // none: no mark
	}{
		{run.Run{State: run.Running}, nil},
		{run.Run{State: run.Failed, Notices: hangs}, nil},
		{run.Run{State: run.Running, Notices: hangs}, []string{`data-row-notice="hang"`, "row-notice-grave", `title="Worker 1 hangs. And 1 more."`, "Hang: "}},
		{run.Run{State: run.Degraded, Notices: hangs[1:]}, []string{`data-row-notice="slow"`, `title="Worker 2 is slow."`, "Slow worker: "}},
	} {
		var b strings.Builder
		if err := RowNotice(tc.r).Render(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		if (b.String() != "") != (tc.marks != nil) {
			t.Errorf("%+v is marked %q", tc.r, b.String())
		}
		for _, m := range tc.marks {
			if !strings.Contains(b.String(), m) {
				t.Errorf("%q lacks %q", b.String(), m)
			}
		}
	}
}
