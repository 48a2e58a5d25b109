package status

import (
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Version is that of the schema. Fields are added to it; what changes their meaning makes another one.
const Version = 1

// maxMetrics bounds the metrics of a status.
const maxMetrics = 100

// Status is how a run does. Names are those of front ends written in JavaScript.
type Status struct {
	Version   int       `json:"version"`
	SessionID run.ID    `json:"sessionId"` // of the run
	Name      string    `json:"name"`
	Project   string    `json:"project"`
	State     run.State `json:"state"`
	Reason    string    `json:"reason,omitempty"` // of the state
	Attempt   int       `json:"attempt"`

	Progress     float64  `json:"progress"` // 0 to 100
	Step         int64    `json:"step"`
	TotalSteps   int64    `json:"totalSteps"`
	Loss         *float64 `json:"loss"` // null before the first, and where it is not finite
	Participants int      `json:"participants"`
	// Metrics are the newest values over all workers, up to 10 s old, by name in camel case; those that are not finite are null.
	Metrics map[string]*float64 `json:"metrics"`

	CreatedAt time.Time `json:"createdAt"`
	StartedAt time.Time `json:"startedAt,omitzero"`
	UpdatedAt time.Time `json:"updatedAt"` // when its newest step was stored, or its state changed
	EndedAt   time.Time `json:"endedAt,omitzero"`
}

// Of is the status of a run with its newest metrics.
func Of(r run.Run, metrics []points.Summary, now time.Time) Status {
	s := Status{
		Version: Version, SessionID: r.ID, Name: r.Name, Project: r.Project, State: r.State, Reason: r.Reason, Attempt: r.Attempt, Step: r.Progress.Step, TotalSteps: r.StepsTotal,
		Participants: r.Progress.Participants, Metrics: map[string]*float64{}, CreatedAt: r.CreatedAt.UTC(), StartedAt: r.StartedAt.UTC(), UpdatedAt: now.UTC().Truncate(time.Millisecond), EndedAt: r.EndedAt.UTC(),
	}
	if r.StepsTotal > 0 {
		s.Progress = min(100, math.Round(1e4*float64(r.Progress.Step)/float64(r.StepsTotal))/100)
	}
	if r.Progress.HasLoss {
		s.Loss = finite(r.Progress.Loss)
	}
	if c, err := trainconf.Parse([]byte(r.Config)); err == nil {
		if size, ok := parseNumber(c.Effective("optim.batch_size")); ok {
			s.Metrics["batchSize"] = &size
		}
	}
	for _, m := range metrics {
		if m.Metric == "loss" || m.Metric == "time" || strings.HasPrefix(m.Metric, run.SystemPrefix) { // told otherwise, of now, or of machines
			continue
		}
		if len(s.Metrics) >= maxMetrics {
			break
		}
		s.Metrics[camel(m.Metric)] = finite(m.Value)
	}
	if r.Progress.TokensPerSec > 0 {
		s.Metrics["tokensPerSecond"] = finite(r.Progress.TokensPerSec)
	}
	return s
}

func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// camel writes learning_rate as learningRate. Groups stay, as in eval/loss; whatever else is no letter or digit separates, too.
func camel(name string) string {
	var b strings.Builder
	upper := false
	for _, r := range name {
		switch {
		case r != '/' && (r != '_' || b.Len() > 0) && !unicode.IsLetter(r) && !unicode.IsDigit(r):
			upper = b.Len() > 0
			continue
		case upper:
			r = unicode.ToUpper(r)
		}
		upper = false
		b.WriteRune(r)
	}
	return b.String()
}
