package diagnose

import (
	"fmt"
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
func (r *Rules) RetryRules() run.RetryRules { return retryRules(r.categories) }

// BuiltinRetryRules are those of the rules that come with the program. They cost no compiling of rules.
func BuiltinRetryRules() run.RetryRules { return builtinRetryRules() }

var builtinRetryRules = sync.OnceValue(func() run.RetryRules {
	var f file
	data, err := builtin.ReadFile("rules/00-categories.toml")
	if err == nil {
		_, err = toml.Decode(string(data), &f)
	}
	if err != nil {
		panic(fmt.Sprintf("the embedded categories: %v", err)) // a test reads them
	}
	return retryRules(f.Category)
})

func retryRules(categories []Category) run.RetryRules {
	out := make(run.RetryRules, 0, len(categories))
	for _, c := range categories {
		out = append(out, run.RetryRule{
			Category: c.Name, Title: c.Title, Retries: c.Retries, Wait: time.Duration(c.Wait), LongestWait: time.Duration(c.LongestWait),
			OtherNode: c.OtherNode, OlderCheckpoint: c.OlderCheckpoint, EntityEnds: c.EntityEnds, Never: c.Never,
		})
	}
	return out
}
