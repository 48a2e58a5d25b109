package siterules_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/diagnose"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/siterules"
)

const licence = `
[[rule]]
id = "acme-licence"
category = "config_invalid"
any = ["licence server"]
match = 'licence server (?P<host>\S+) (?:denied|refused)'
weight = 80
retryable = false
summary = "The licence server {host} denied the run."
hint = "Ask the platform team for a seat."
`

// past is a store with failures whose logs are given.
type past struct {
	mu    sync.Mutex
	rules run.CauseRules
	logs  map[run.ID][]string
	gate  chan struct{} // where set, reading a log waits for it
	began chan struct{} // and says so
}

func (p *past) CauseRules(context.Context) (run.CauseRules, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rules, nil
}

func (p *past) SaveCauseRules(_ context.Context, in run.CauseRules) (run.CauseRules, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if in.Revision != p.rules.Revision {
		return in, fault.ErrOutdated.Fault()
	}
	in.Revision++
	p.rules = in
	return in, nil
}

func (p *past) Failures(_ context.Context, _ time.Time, limit int) (out []run.PastFailure, _ error) {
	for i := range p.logs {
		if len(out) < limit {
			out = append(out, run.PastFailure{Attempt: run.Attempt{RunID: i, Number: 1}, Name: "first", Project: "default"})
		}
	}
	return out, nil
}

func (p *past) AttemptWorkers(_ context.Context, id run.ID, _ int) ([]run.Worker, error) {
	return []run.Worker{{AllocID: "a", RunID: id, Attempt: 1, State: run.WorkerFailed, Exited: true, ExitCode: 1, NodeName: "gpu-1"}}, nil
}

func (p *past) ExitReports(context.Context, run.ID) (map[string]run.ExitReport, error) {
	return nil, nil
}

func (p *past) Run(_ context.Context, id run.ID) (run.Run, error) {
	return run.Run{ID: id, Project: "default"}, nil
}

func (p *past) Logs(ctx context.Context, id run.ID, _ run.LogQuery) (out []run.LogLine, _ error) {
	if p.gate != nil {
		select {
		case p.began <- struct{}{}:
		default:
		}
		select {
		case <-p.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	for i, text := range p.logs[id] {
		out = append(out, run.LogLine{Pos: run.LogPos(i + 1), At: time.UnixMilli(int64(i)), Text: text})
	}
	return out, nil
}

func (p *past) CountCause(context.Context, run.Projects, string, time.Time) (run.CauseCount, error) {
	return run.CauseCount{}, nil
}

func rulesOver(t *testing.T, p *past) *siterules.Rules {
	t.Helper()
	s, err := siterules.New(siterules.Options{Store: p, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.UnixMilli(1000) }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// slow are n rules with long expressions.
func slow(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "[[rule]]\nid = \"y%d\"\ncategory = \"unknown\"\nany = [\"aaaaaaaa\"]\nmatch = '(?:[a-c]x){1,250}'\nweight = 50\nsummary = \"x\"\nhint = \"x\"\n", i)
	}
	return b.String()
}

func causeOf(rules *diagnose.Rules, line string) diagnose.Cause {
	scan := rules.NewScanner()
	scan.Line([]byte(line))
	return scan.Cause(diagnose.Exit{Known: true, Code: 1})
}

func TestRulesTakeEffectOnEveryConsoleOnceTheyAreSaved(t *testing.T) {
	t.Parallel()
	p := &past{}
	one, other := rulesOver(t, p), rulesOver(t, p)
	const line = "licence server lic-1 denied"
	if got := causeOf(other.Current(t.Context()), line); got.Rule == "acme-licence" {
		t.Fatal("there is a rule before it was made")
	}
	saved, err := one.SaveCauseRules(t.Context(), licence+"\n[[rule]]\nid = \"wandb-network\"\noff = true\n[[rule]]\n"+
		"id = \"cuda-oom\"\ncategory = \"cuda_oom\"\nany = [\"CUDA out of memory\"]\nweight = 90\nsummary = \"Ours.\"\nhint = \"x\"\n", 0)
	if err != nil || saved.Revision != 1 || len(saved.Rules) != 3 || !saved.Rules[1].Off || !saved.Rules[2].Replaces || saved.Rules[0].Replaces || saved.Problem != "" {
		t.Fatalf("%+v, %v", saved, err)
	}
	if got := causeOf(other.Current(t.Context()), line); got.Category != "config_invalid" || got.Summary != "The licence server lic-1 denied the run." {
		t.Errorf("the other console says %+v", got)
	}
	if _, err := other.SaveCauseRules(t.Context(), "", 0); !errors.Is(err, fault.ErrOutdated) {
		t.Errorf("over an older revision: %v", err)
	}
	if _, err := other.SaveCauseRules(t.Context(), "", 1); err != nil {
		t.Fatal(err)
	}
	if got := causeOf(one.Current(t.Context()), line); got.Rule == "acme-licence" {
		t.Error("it is there after it was removed")
	}
}

func TestRulesThatAreWrongTakeNoEffectAndSayWhy(t *testing.T) {
	t.Parallel()
	s := rulesOver(t, &past{})
	valid := func(change ...string) string { return strings.NewReplacer(change...).Replace(licence) }
	for name, c := range map[string]struct{ text, rule string }{
		"no TOML":                  {"[[rule", "is no TOML"},
		"an unknown field":         {valid("weight", "wait"), "is no field"},
		"an unknown category":      {valid("config_invalid", "acme"), "rule acme-licence: category is no category"},
		"look-around":              {valid(`(?:denied|refused)`, `(?=denied)`), "is no regular expression"},
		"back references":          {valid(`(?:denied|refused)`, `\1`), "is no regular expression"},
		"an expression that grows": {valid(`(?:denied|refused)`, `(?:a?b?c?d?){1,900}`), "instructions"},
		"many copies":              {valid(`(?:denied|refused)`, `((a{1,30}){1,30}){1,30}`), "is no regular expression"},
		"a text that is short":     {valid("licence server\"]", "lic\"]"), "bytes"},
		"too many rules":           {strings.Repeat("[[rule]]\nid = \"x\"\n", diagnose.MaxOwn+1), "rules and markers"},
		"slow together":            {slow(30), "together"},
		"too long":                 {"#" + strings.Repeat("x", run.MaxCauseRules), "at most"},
		"a category of its own":    {licence + "[[category]]\nname = \"acme\"\ntitle = \"x\"\n", "category of its own"},
		"a key of very many parts": {strings.Repeat("a.", 8000) + "a = 1", "line 1 nests keys too deeply"},
		"lists in lists":           {"rule = " + strings.Repeat("[", 20000), "line 1 nests lists too deeply"},
		"a NUL":                    {licence + "\x00", "must be text"},
	} {
		var fields run.FieldErrors
		if _, err := s.SaveCauseRules(t.Context(), c.text, 0); !errors.As(err, &fields) || !strings.Contains(err.Error(), c.rule) || fields[0].Fix == "" || len(fields[0].Value) > 250 {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.TryCauseRules(t.Context(), c.text, 20); !errors.As(err, &fields) {
			t.Errorf("%s is tried: %v", name, err)
		}
	}
	if got, err := s.CauseRules(t.Context()); err != nil || got.Revision != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestRulesThatAnUpgradeBreaksAreLeftOutAndSaidSo(t *testing.T) {
	t.Parallel()
	p := &past{rules: run.CauseRules{Revision: 3, Text: "[[rule]]\nid = \"a-rule-of-before\"\noff = true\n"}}
	s := rulesOver(t, p)
	if got := causeOf(s.Current(t.Context()), "RuntimeError: CUDA out of memory"); got.Category != "cuda_oom" {
		t.Errorf("the built-in rules say %+v", got)
	}
	if got, err := s.CauseRules(t.Context()); err != nil || !strings.Contains(got.Problem, "a-rule-of-before") {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestATrialSaysWhatRulesWouldHaveSaidOfPastFailures(t *testing.T) {
	t.Parallel()
	p := &past{logs: map[run.ID][]string{"r-1": {"starting", "licence server lic-1 denied"}, "r-2": {"RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB"}, "r-3": nil}}
	s := rulesOver(t, p)
	got, err := s.TryCauseRules(t.Context(), licence, 20)
	if err != nil || got.Found != 3 || len(got.Trials) != 3 || got.Changed != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, x := range got.Trials {
		if x.Changed != (x.Run == "r-1") || x.Changed && (x.Now.Category != run.UnknownCause || x.With.Category != "config_invalid" || x.With.Retryable) {
			t.Errorf("%+v", x)
		}
	}
	if now, err := s.CauseRules(t.Context()); err != nil || now.Revision != 0 || causeOf(s.Current(t.Context()), "licence server lic-1 denied").Rule == "acme-licence" {
		t.Error("a trial has changed something")
	}
	for _, limit := range []int{0, -1, siterules.MostTried + 1} {
		var fields run.FieldErrors
		if _, err := s.TryCauseRules(t.Context(), licence, limit); !errors.As(err, &fields) {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}

func TestOneTrialRunsAtATimeAndEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	p := &past{logs: map[run.ID][]string{"r-1": {"x"}}, gate: make(chan struct{}), began: make(chan struct{}, 1)}
	s := rulesOver(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := s.TryCauseRules(ctx, "", 1)
		first <- err
	}()
	<-p.began
	if _, err := s.TryCauseRules(t.Context(), licence, 1); !errors.Is(err, fault.ErrBusy) {
		t.Errorf("the second: %v", err)
	}
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the first ended with %v", err)
	}
	close(p.gate)
	if got, err := s.TryCauseRules(t.Context(), licence, 1); err != nil || len(got.Trials) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestHostileExpressionsEndInTime tries the worst that is let through on lines that are made for them.
func TestHostileExpressionsEndInTime(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range 15 {
		fmt.Fprintf(&text, "[[rule]]\nid = \"x%d\"\ncategory = \"unknown\"\nany = [\"aaaaaaaa\"]\nmatch = '(?:(?:a|aa|a.a)+){1,60}b%d$'\nweight = 50\nsummary = \"x\"\nhint = \"x\"\n", i, i)
	}
	lines := make([]string, 300)
	for i := range lines {
		lines[i] = strings.Repeat("a", 2000)
	}
	p := &past{logs: map[run.ID][]string{"r-1": lines, "r-2": lines, "r-3": lines, "r-4": lines, "r-5": lines, "r-6": lines, "r-7": lines, "r-8": lines}}
	got, err := rulesOver(t, p).TryCauseRules(t.Context(), text.String(), 100) // minutes without limits
	if err != nil || got.Found != 8 || len(got.Trials) == 8 || got.TimedOut != 8-len(got.Trials) || got.Changed > len(got.Trials) {
		t.Errorf("%d of %d tried, %d not in time, %v", len(got.Trials), got.Found, got.TimedOut, err)
	}
}
