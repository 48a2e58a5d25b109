package diagnose

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/cotrain/cotrain/internal/run"
)

// duration is a length of time in TOML, such as "30s".
type duration time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return fmt.Errorf("duration %.40q: use one such as 30s or 5m", text)
	}
	*d = duration(v)
	return nil
}

// RetryRules says how failures of each category are retried.
func (r *Rules) RetryRules() run.RetryRules {
	rules := make([]Rule, 0, len(r.rules))
	for _, rule := range r.rules {
		rules = append(rules, *rule)
	}
	return retryRules(r.categories, rules)
}

// BuiltinRetryRules are those of the rules that come with the program. They cost no compiling of rules.
func BuiltinRetryRules() run.RetryRules { return builtinRetryRules() }

var builtinRetryRules = sync.OnceValue(func() run.RetryRules {
	var all file
	names, err := builtin.ReadDir("rules")
	for _, entry := range names {
		var f file
		var data []byte
		if data, err = builtin.ReadFile(path.Join("rules", entry.Name())); err != nil {
			break
		}
		if _, err = toml.Decode(string(data), &f); err != nil {
			break
		}
		all.Category, all.Rule = append(all.Category, f.Category...), append(all.Rule, f.Rule...)
	}
	if err != nil {
		panic(fmt.Sprintf("the embedded rules: %v", err)) // a test reads them
	}
	return retryRules(all.Category, all.Rule)
})

func retryRules(categories []Category, rules []Rule) run.RetryRules {
	out := make(run.RetryRules, 0, len(categories))
	for _, c := range categories {
		out = append(out, run.RetryRule{
			Category: c.Name, Title: c.Title, Retries: c.Retries, Which: c.which(rules), Wait: time.Duration(c.Wait), LongestWait: time.Duration(c.LongestWait),
			OtherNode: c.OtherNode, OlderCheckpoint: c.OlderCheckpoint, EntityEnds: c.EntityEnds, Never: c.Never,
		})
	}
	return out
}

// retries reports whether the console retries what a rule of the category sees.
func (c Category) retries(rule Rule) bool {
	return c.Retries > 0 && (rule.Retryable || rule.Blank || c.OlderCheckpoint)
}

// which names the rules of a category that are retried, or those that are not, whichever are fewer; "" where all are alike.
func (c Category) which(rules []Rule) string {
	var yes, no []string
	for _, rule := range rules {
		switch {
		case rule.Category != c.Name:
		case c.retries(rule):
			yes = append(yes, rule.ID)
		default:
			no = append(no, rule.ID)
		}
	}
	switch {
	case len(yes) == 0 || len(no) == 0:
		return ""
	case len(yes) <= len(no):
		return "only " + strings.Join(yes, ", ")
	}
	return "not " + strings.Join(no, ", ")
}

// Outlook says in a few words whether a retry of what failed may pass, "" where nothing failed.
func (r *Rules) Outlook(c Cause) string {
	i := slices.IndexFunc(r.categories, func(k Category) bool { return k.Name == c.Category })
	switch {
	case c.Category == None:
		return ""
	case c.Retryable:
		return "a retry may pass"
	case c.Blank || c.Guess:
		return "nothing says whether a retry would pass"
	case i >= 0 && r.categories[i].OlderCheckpoint:
		return "a retry may pass from an older checkpoint"
	}
	return "a retry will not help"
}
