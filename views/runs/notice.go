package runs

import (
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// noticeTitles name what a notice is about.
var noticeTitles = map[run.NoticeKind]string{
	run.NoticeHang: "Hang", run.NoticeNotFinite: "Loss not finite", run.NoticeDiverged: "Loss diverged", run.NoticeAlone: "Trains alone", run.NoticeMesh: "Smaller mesh",
	run.NoticeClock: "Clock", run.NoticeSlow: "Slow worker", run.NoticePlateau: "Plateau",
}

func noticeTitle(k run.NoticeKind) string { return noticeTitles[k] }

// grave reports whether what was trained since is lost, or nothing is trained.
func grave(k run.NoticeKind) bool {
	return k == run.NoticeHang || k == run.NoticeNotFinite || k == run.NoticeDiverged || k == run.NoticeAlone
}

// noticeLine is the address of a line in the log.
func noticeLine(id run.ID, l run.NoticeLine) string {
	return fmt.Sprintf("%s?worker=%d&line=%d", TabLogs.Path(id), l.Rank, l.Pos)
}

// otherReason is what a run with notices says beside them.
func otherReason(r run.Run) string {
	if r.Reason != "" {
		return ui.Sentence(r.Reason)
	}
	if loss := r.LossNotice(); loss != "" && r.Notice(run.NoticeNotFinite) == nil {
		return ui.Sentence(loss)
	}
	return ""
}
