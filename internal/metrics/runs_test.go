package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/metrics"
	"github.com/cotrain/cotrain/internal/run"
)

func TestALiveRunHasItsHeadline(t *testing.T) {
	t.Parallel()
	r := run.Run{
		ID: "r-0000000001", Project: "default", Name: "one", State: run.Running, Shape: run.Shape{Nodes: 4}, Attempt: 2, StepsTotal: 200, StartedAt: noon,
		Progress: run.Progress{Step: 50, Loss: 2.5, HasLoss: true, TokensPerSec: 1000, Participants: 3, UpdatedAt: noon.Add(time.Second)},
		Notices:  []run.Notice{{Kind: run.NoticeSlow, Rank: 1}, {Kind: run.NoticeSlow, Rank: 2}, {Kind: run.NoticeHang}},
	}
	got := scrape(t, newMetrics(metrics.State{Runs: &metrics.Runs{Live: []run.Run{r}}}))
	of := []string{"run_id", "r-0000000001", "project", "default"}
	for name, want := range map[string]float64{
		"step": 50, "steps_target": 200, "progress_ratio": .25, "loss": 2.5, "tokens_per_second": 1000, "workers": 3, "workers_wanted": 4, "attempt": 2,
		"start_timestamp_seconds": float64(noon.Unix()), "last_point_timestamp_seconds": float64(noon.Unix() + 1),
	} {
		if n := value(t, got, "cotrain_run_"+name, of...); n != want {
			t.Errorf("%s is %v, want %v", name, n, want)
		}
	}
	value(t, got, "cotrain_run_info", append(of, "name", "one")...)
	if n := value(t, got, "cotrain_run_notices", append(of, "kind", "slow")...); n != 2 {
		t.Errorf("%v workers are slow, want 2", n)
	}
	r.Progress.Loss = math.NaN()
	if n := value(t, scrape(t, newMetrics(metrics.State{Runs: &metrics.Runs{Live: []run.Run{r}}})), "cotrain_run_loss", of...); !math.IsNaN(n) {
		t.Errorf("a loss that is not finite is %v", n)
	}
}

func TestARunThatHasReportedNothingHasNoZeros(t *testing.T) {
	t.Parallel()
	got := scrape(t, newMetrics(metrics.State{Runs: &metrics.Runs{Live: []run.Run{{ID: "r-0000000001", Project: "default", State: run.Pending}}}}))
	for _, name := range []string{"step", "loss", "tokens_per_second", "progress_ratio", "last_point_timestamp_seconds", "start_timestamp_seconds", "steps_target"} {
		if f := got["cotrain_run_"+name]; f != nil {
			t.Errorf("%s: %v", name, f)
		}
	}
}

func TestHostileNamesAreShortAndEscaped(t *testing.T) {
	t.Parallel()
	var live []run.Run
	for i, name := range []string{"a\"} 1\ncotrain_forged 1\n#", "\xff\xfe", strings.Repeat("ü", 100_000), "a\\", "\u2028\x00\r", ""} {
		live = append(live, run.Run{ID: run.ID(fmt.Sprintf("r-000000000%d", i)), Project: name, Name: name})
	}
	m := newMetrics(metrics.State{Runs: &metrics.Runs{Live: live}})
	for _, accept := range []string{"text/plain", "application/openmetrics-text; version=1.0.0"} {
		body, _ := raw(t, m, accept)
		for line := range strings.Lines(body) {
			if strings.HasPrefix(line, "cotrain_forged") || len(line) > 1000 {
				t.Errorf("%s: a name made the line %.200q", accept, line)
			}
		}
	}
	if n := len(scrape(t, m)["cotrain_run_info"].GetMetric()); n != len(live) {
		t.Errorf("%d runs, want %d", n, len(live))
	}
}

// shelf is a store of so many live runs.
type shelf struct {
	live, queued int
	asked        []run.RunFilter
	err          error
}

func (s *shelf) CountRuns(context.Context, run.RunFilter) (run.Counts, error) {
	return run.Counts{run.Running: s.live, run.Queued: s.queued, run.Succeeded: 1000}, s.err
}

func (s *shelf) ListRuns(_ context.Context, f run.RunFilter) (run.Page, error) {
	s.asked = append(s.asked, f)
	n := min(f.Limit, s.live)
	if len(f.States) == 1 && f.States[0] == run.Queued {
		n = min(f.Limit, s.queued)
	}
	out := make([]run.Run, n)
	for i := range out {
		out[i] = run.Run{ID: run.ID(fmt.Sprintf("r-%010d", i)), CreatedAt: noon}
	}
	return run.Page{Runs: out}, nil
}

func TestRunsAreLimitedAndTheOthersCounted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ live, most, shown, left int }{{5, 10, 5, 0}, {10, 10, 10, 0}, {1200, 1000, 1000, 200}, {7, 0, 0, 7}, {0, 10, 0, 0}} {
		got, err := metrics.ReadRuns(t.Context(), &shelf{live: c.live, queued: 1}, run.AllProjects(), c.most, noon.Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Live) != c.shown || got.LeftOut != c.left || got.Oldest != time.Minute {
			t.Errorf("%d of %d live runs: %d shown, %d left out, the oldest waits for %s", c.most, c.live, len(got.Live), got.LeftOut, got.Oldest)
		}
	}
	s := &shelf{live: 1}
	if _, err := metrics.ReadRuns(t.Context(), s, run.InProjects("a"), 10, noon); err != nil || len(s.asked) != 1 || !s.asked[0].Order.Up || s.asked[0].Projects.All {
		t.Errorf("asked %+v, %v", s.asked, err)
	}
	for _, state := range s.asked[0].States {
		if !state.Live() {
			t.Errorf("runs that are %s are live", state)
		}
	}
	if _, err := metrics.ReadRuns(t.Context(), &shelf{err: errors.New("away")}, run.AllProjects(), 10, noon); err == nil {
		t.Error("a store that does not answer has runs")
	}
}

func TestTooManyScrapesAtOnceAreRefused(t *testing.T) {
	t.Parallel()
	began, end := make(chan struct{}), make(chan struct{})
	m := metrics.New(metrics.Options{Version: "1", Logger: slog.New(slog.DiscardHandler), State: func(context.Context) metrics.State {
		began <- struct{}{}
		<-end
		return metrics.State{}
	}})
	var answered sync.WaitGroup
	ask := func() error {
		return m.Answer(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	}
	for range 4 {
		answered.Go(func() {
			if err := ask(); err != nil {
				t.Errorf("a scrape fails: %v", err)
			}
		})
		<-began
	}
	if err := ask(); !errors.Is(err, fault.ErrBusy) {
		t.Errorf("a fifth scrape: %v", err)
	}
	close(end)
	answered.Wait()
}
