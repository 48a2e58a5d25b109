package metrics

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// maxName is how much of a run's name is a label, in bytes.
const maxName = 64

// Live runs have the labels run_id and project; cotrain_run_info has the name, which is for people: join with it.
var (
	descLeftOut  = desc("cotrain_runs_left_out", "Live runs without metrics of their own, since there are more than metrics.runs allows.")
	descInfo     = desc("cotrain_run_info", "1 for each live run, with its name, cut to 64 bytes.", "run_id", "project", "name")
	descStep     = ofRun("cotrain_run_step", "Newest step of a live run.")
	descTarget   = ofRun("cotrain_run_steps_target", "Steps that a live run has in all.")
	descProgress = ofRun("cotrain_run_progress_ratio", "Share of its steps that a live run has done, from 0 to 1.")
	descLoss     = ofRun("cotrain_run_loss", "Loss at the newest step, the mean over workers; NaN once it is not finite.")
	descTokens   = ofRun("cotrain_run_tokens_per_second", "Tokens a second, of all workers.")
	descWorkers  = ofRun("cotrain_run_workers", "Workers that run now.")
	descWanted   = ofRun("cotrain_run_workers_wanted", "Workers that the run was submitted with.")
	descAttempt  = ofRun("cotrain_run_attempt", "Number of the newest attempt; it grows with each retry.")
	descStarted  = ofRun("cotrain_run_start_timestamp_seconds", "When the first worker started.")
	descPoint    = ofRun("cotrain_run_last_point_timestamp_seconds", "When a step was last reported.")
	descNotices  = desc("cotrain_run_notices", "What looks wrong with a live run now, by kind: docs/failures.md lists them.", "run_id", "project", "kind")
)

// Runs is what the store knows of runs.
type Runs struct {
	Counts  run.Counts
	Oldest  time.Duration // since the submission of the first run in the queue, 0 with an empty queue
	Live    []run.Run     // those with metrics of their own
	LeftOut int           // live runs without
}

// Store has the runs.
type Store interface {
	CountRuns(ctx context.Context, f run.RunFilter) (run.Counts, error)
	ListRuns(ctx context.Context, f run.RunFilter) (run.Page, error)
}

// ReadRuns reads what a scrape tells of projects' runs, up to most of which have metrics of their own: the oldest, so that a new run takes
// nobody's place.
func ReadRuns(ctx context.Context, s Store, of run.Projects, most int, now time.Time) (*Runs, error) {
	all := run.RunFilter{Projects: of, Order: run.Order{By: "created", Up: true}}
	counts, err := s.CountRuns(ctx, all)
	if err != nil {
		return nil, err
	}
	out := &Runs{Counts: counts}
	if counts[run.Queued] > 0 {
		queued := all
		queued.States, queued.Limit = []run.State{run.Queued}, 1
		page, err := s.ListRuns(ctx, queued)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Runs {
			out.Oldest = max(0, now.Sub(r.CreatedAt))
		}
	}
	live := all
	live.States, live.Limit = slices.DeleteFunc(run.States(), func(s run.State) bool { return !s.Live() }), most
	for _, state := range live.States {
		out.LeftOut += counts[state]
	}
	if most == 0 || out.LeftOut == 0 {
		return out, nil
	}
	page, err := s.ListRuns(ctx, live)
	if err != nil {
		return nil, err
	}
	out.Live, out.LeftOut = page.Runs, max(0, out.LeftOut-len(page.Runs))
	return out, nil
}

func ofRun(name, help string) *prometheus.Desc { return desc(name, help, "run_id", "project") }

func descsOfRuns() []*prometheus.Desc {
	return []*prometheus.Desc{
		descLeftOut, descInfo, descStep, descTarget, descProgress, descLoss, descTokens, descWorkers, descWanted, descAttempt, descStarted, descPoint, descNotices,
	}
}

// collectRun sends what is known of a run: what is not has no series, never a zero.
func collectRun(r run.Run, to chan<- prometheus.Metric) {
	id, project := string(r.ID), label(r.Project)
	gauge := func(d *prometheus.Desc, v float64) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, id, project)
	}
	to <- prometheus.MustNewConstMetric(descInfo, prometheus.GaugeValue, 1, id, project, label(r.Name))
	gauge(descWanted, float64(r.Shape.Nodes))
	gauge(descWorkers, float64(r.Progress.Participants))
	gauge(descAttempt, float64(r.Attempt))
	if r.StepsTotal > 0 {
		gauge(descTarget, float64(r.StepsTotal))
	}
	if !r.StartedAt.IsZero() {
		gauge(descStarted, float64(r.StartedAt.UnixMilli())/1000)
	}
	if p := r.Progress; !p.UpdatedAt.IsZero() {
		gauge(descPoint, float64(p.UpdatedAt.UnixMilli())/1000)
		gauge(descStep, float64(p.Step))
		gauge(descTokens, p.TokensPerSec)
		if r.StepsTotal > 0 {
			gauge(descProgress, min(1, max(0, float64(p.Step)/float64(r.StepsTotal))))
		}
		if p.HasLoss {
			gauge(descLoss, p.Loss)
		}
	}
	kinds := map[run.NoticeKind]float64{}
	for _, n := range r.Notices {
		kinds[n.Kind]++
	}
	for kind, n := range kinds {
		to <- prometheus.MustNewConstMetric(descNotices, prometheus.GaugeValue, n, id, project, label(string(kind)))
	}
}

// label makes a label's value of a text: short, in UTF-8, on one line.
func label(s string) string {
	s = strings.ToValidUTF8(fault.Cut(s, maxName), "\uFFFD")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}
