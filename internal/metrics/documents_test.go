package metrics_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/metrics"
	"github.com/cotrain/cotrain/internal/run"
)

const monitoring = "../../docs/monitoring"

// names finds metrics in expressions and documents.
var names = regexp.MustCompile(`\b(?:cotrain|http|process|go)_[a-z][a-z0-9_]*[a-z0-9]\b`)

// exported is every metric of a console in which everything has happened.
func exported(t *testing.T) map[string]bool {
	t.Helper()
	live := run.Run{
		ID: "r-0000000001", Project: "default", State: run.Running, StepsTotal: 10, StartedAt: noon, Notices: []run.Notice{{Kind: run.NoticeHang}},
		Progress: run.Progress{Step: 1, HasLoss: true, UpdatedAt: noon},
	}
	m := newMetrics(metrics.State{Up: map[string]bool{"store": true}, Runs: &metrics.Runs{Live: []run.Run{live}}, Database: []metrics.Pool{{Name: "write"}}})
	m.Asked()
	m.Answered("GET", "GET /{$}", 200, time.Second)
	m.Wrote(time.Second, true)
	out := map[string]bool{}
	for name := range scrape(t, m) {
		out[name] = true
	}
	return out
}

func baseOf(name string, known map[string]bool) string {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base := strings.TrimSuffix(name, suffix); known[base] {
			return base
		}
	}
	return name
}

func TestDashboardAndAlertsUseMetricsThatExist(t *testing.T) {
	t.Parallel()
	known := exported(t)
	texts := map[string]string{}
	for _, file := range []string{"alerts.yml", "alerts_test.yml", "../monitoring.md"} {
		text, err := os.ReadFile(filepath.Join(monitoring, file))
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(text)
	}
	texts["grafana.json"] = strings.Join(expressions(t), "\n")
	for file, text := range texts {
		found := names.FindAllString(text, -1)
		if len(found) < 10 {
			t.Errorf("%s has %d metrics", file, len(found))
		}
		for _, name := range found {
			if !known[baseOf(name, known)] {
				t.Errorf("%s has %s, which the console does not export", file, name)
			}
		}
	}
}

// expressions are those of the dashboard's panels.
func expressions(t *testing.T) (out []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(monitoring, "grafana.json"))
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	for _, p := range board.Panels {
		if len(p.Targets) == 0 {
			t.Errorf("the panel %s shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			out = append(out, target.Expr)
		}
	}
	return out
}

func TestEveryMetricIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(monitoring, "../monitoring.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, name := range names.FindAllString(string(text), -1) {
		documented[name] = true
	}
	for name := range exported(t) {
		if !documented[name] && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("docs/monitoring.md does not have %s", name)
		}
	}
}

func TestAlertsFireAndResolve(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed")
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}, {"check", "config", "--syntax-only", "prometheus.yml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = monitoring
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
