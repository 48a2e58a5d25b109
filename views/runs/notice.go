package runs

import (
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// openStacks is how many lines of stacks are shown unasked: those of two workers.
const openStacks = 16

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
