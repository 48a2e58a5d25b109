package ui

import "github.com/cotrain/cotrain/internal/run"

// noticeTitles name what a notice is about.
var noticeTitles = map[run.NoticeKind]string{
	run.NoticeHang: "Hang", run.NoticeNotFinite: "Loss not finite", run.NoticeDiverged: "Loss diverged", run.NoticeAlone: "Trains alone", run.NoticeMesh: "Smaller mesh",
	run.NoticeClock: "Clock", run.NoticeSlow: "Slow worker", run.NoticePlateau: "Plateau",
	run.NoticeMemory: "Memory", run.NoticeGPUErrors: "GPU errors", run.NoticeGPUThrottled: "GPU throttled", run.NoticeGPUIdle: "Idle GPU", run.NoticeGPUSlow: "Slow GPU",
}

// NoticeTitle is a notice kind as a heading.
func NoticeTitle(k run.NoticeKind) string { return noticeTitles[k] }

// Grave reports whether what was trained since is lost, or nothing is trained.
func Grave(k run.NoticeKind) bool {
	return k == run.NoticeHang || k == run.NoticeNotFinite || k == run.NoticeDiverged || k == run.NoticeAlone
}

// NoticeOf is the kind of a live run's gravest notice, and what its row says of it; "" where there is none.
func NoticeOf(r run.Run) (kind run.NoticeKind, text string) {
	if !r.State.Live() || len(r.Notices) == 0 {
		return "", ""
	}
	return r.Notices[0].Kind, Warning(r)
}
