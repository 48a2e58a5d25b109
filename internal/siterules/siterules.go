package siterules

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/diagnose"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/watch"
)

// file is what errors call the rules.
const file = "rules"

// Store is the part of the store that the rules need.
type Store interface {
	watch.ExplainStore
	CauseRules(ctx context.Context) (run.CauseRules, error)
	SaveCauseRules(ctx context.Context, in run.CauseRules) (run.CauseRules, error)
	Failures(ctx context.Context, since time.Time, limit int) ([]run.PastFailure, error)
	AttemptWorkers(ctx context.Context, id run.ID, attempt int) ([]run.Worker, error)
	ExitReports(ctx context.Context, id run.ID) (map[string]run.ExitReport, error)
}

// Options configures [New]; all are needed.
type Options struct {
	Store  Store
	Logger *slog.Logger
	Now    func() time.Time
}

// Rules are a site's rules over the built-in ones.
type Rules struct {
	o       Options
	builtin *diagnose.Rules
	trying  chan struct{} // has room for one

	mu       sync.Mutex
	revision int64
	rules    *diagnose.Rules
	problem  string // why those of revision are not in effect
}

// New returns the built-in rules, until [Rules.Current] has looked.
func New(o Options) (*Rules, error) {
	builtin, err := diagnose.Builtin()
	if err != nil {
		return nil, err
	}
	return &Rules{o: o, builtin: builtin, rules: builtin, trying: make(chan struct{}, 1)}, nil
}

// Current returns the rules as they are now, on whichever console they were changed. Rules that this program cannot read, as after an
// upgrade that removed what they refer to, are left out as a whole.
func (s *Rules) Current(ctx context.Context) *diagnose.Rules {
	stored, err := s.o.Store.CauseRules(ctx)
	if err != nil {
		s.o.Logger.WarnContext(ctx, "the site's rules of diagnosis cannot be read; those from before count", "err", err)
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.rules
	}
	rules, _ := s.use(ctx, stored)
	return rules
}

// Categories are those of the built-in rules: a site has none of its own.
func (s *Rules) Categories() []diagnose.Category { return s.builtin.Categories() }

// RetryRules are those of the built-in categories.
func (s *Rules) RetryRules() run.RetryRules { return s.builtin.RetryRules() }

// use compiles a revision, once.
func (s *Rules) use(ctx context.Context, stored run.CauseRules) (*diagnose.Rules, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stored.Revision == s.revision {
		return s.rules, s.problem
	}
	s.revision, s.rules, s.problem = stored.Revision, s.builtin, ""
	rules, err := s.compile(stored.Text)
	if err != nil {
		s.problem = err.Error()
		s.o.Logger.WarnContext(ctx, "the site's rules of diagnosis are not in effect", "revision", stored.Revision, "err", err)
		return s.rules, s.problem
	}
	s.rules = rules
	return s.rules, ""
}

// compile returns the built-in rules with others; what is wrong with these is [run.FieldErrors].
func (s *Rules) compile(text string) (*diagnose.Rules, error) {
	if err := run.CheckCauseRules(text); err != nil {
		return nil, err
	}
	if line, deep := trainconf.TooDeep([]byte(text)); deep != "" {
		return nil, run.FieldErrors{{Field: "text", Rule: fmt.Sprintf("line %d %s", line, deep), Fix: "write tables [[rule]] with plain keys and lists of texts"}}
	}
	rules, err := s.builtin.With(file, []byte(text))
	var broken *diagnose.RuleError
	if !errors.As(err, &broken) {
		return rules, err
	}
	where := broken.Field
	if broken.Rule != "" {
		where = strings.TrimSpace("rule " + broken.Rule + ": " + where)
	}
	rule := broken.Problem
	if where != "" {
		rule = where + " " + rule
	}
	return nil, run.FieldErrors{{Field: "text", Value: fault.Quote(broken.Value), Rule: rule, Fix: broken.Fix}}
}

// CauseRules returns the site's rules, and what they say.
func (s *Rules) CauseRules(ctx context.Context) (run.CauseRules, error) {
	stored, err := s.o.Store.CauseRules(ctx)
	if err != nil {
		return stored, err
	}
	_, stored.Problem = s.use(ctx, stored)
	stored.Rules = s.list(stored.Text)
	return stored, nil
}

// list reads the rules of a text that compiles.
func (s *Rules) list(text string) []run.CauseRule {
	var read struct {
		Rule []diagnose.Rule `toml:"rule"`
	}
	out := []run.CauseRule{}
	if _, err := toml.Decode(text, &read); err != nil {
		return out // the problem says so
	}
	for _, r := range read.Rule {
		out = append(out, run.CauseRule{ID: r.ID, Category: r.Category, Summary: r.Summary, Off: r.Off, Replaces: !r.Off && s.isBuiltin(r.ID)})
	}
	return out
}

func (s *Rules) isBuiltin(id string) bool {
	return slices.ContainsFunc(s.builtin.Categories(), func(c diagnose.Category) bool {
		return slices.ContainsFunc(s.builtin.Of(c.Name), func(r diagnose.Rule) bool { return r.ID == id })
	})
}

// SaveCauseRules has rules take effect, over the revision that their writer has read; the empty text removes all.
func (s *Rules) SaveCauseRules(ctx context.Context, text string, revision int64) (run.CauseRules, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if _, err := s.compile(text); err != nil {
		return run.CauseRules{}, err
	}
	saved, err := s.o.Store.SaveCauseRules(ctx, run.CauseRules{Revision: revision, Text: text, At: s.o.Now(), Actor: access.From(ctx).Name})
	if err != nil {
		return saved, err
	}
	return s.CauseRules(ctx)
}
