package runtest

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// CauseRules keeps rules of diagnosis without reading them: "broken" among them is a mistake.
type CauseRules struct {
	mu     sync.Mutex
	stored run.CauseRules
	// Trials is what each trial says.
	Trials run.CauseTrials
}

// CauseRules returns the rules.
func (c *CauseRules) CauseRules(context.Context) (run.CauseRules, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stored, nil
}

// SaveCauseRules keeps rules.
func (c *CauseRules) SaveCauseRules(_ context.Context, text string, revision int64) (run.CauseRules, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := readable(text); err != nil {
		return run.CauseRules{}, err
	}
	if revision != c.stored.Revision {
		return run.CauseRules{}, fault.New(fault.ErrOutdated, fmt.Sprintf("The rules are at revision %d by now, not %d.", c.stored.Revision, revision), "")
	}
	c.stored = run.CauseRules{Revision: revision + 1, Text: text, Actor: "boss"}
	for line := range strings.Lines(text) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "id = "); ok {
			c.stored.Rules = append(c.stored.Rules, run.CauseRule{ID: strings.Trim(id, `"`), Category: "config_invalid", Summary: "It is said."})
		}
	}
	return c.stored, nil
}

// TryCauseRules answers with Trials.
func (c *CauseRules) TryCauseRules(_ context.Context, text string, _ int) (run.CauseTrials, error) {
	return c.Trials, readable(text)
}

func readable(text string) error {
	if strings.Contains(text, "broken") {
		return run.FieldErrors{{Field: "text", Value: "broken", Rule: "is no rule", Fix: "start each rule with [[rule]]"}}
	}
	return nil
}
