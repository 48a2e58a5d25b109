package config

import (
	"regexp"
	"strings"
	"time"
)

// maxSkew bounds what a clock of dev_clocks may be off.
const maxSkew = 24 * time.Hour

var devNode = regexp.MustCompile(`^local-[1-9][0-9]?$`)

// devClock checks an entry of dev_clocks.
func devClock(text string) *problem {
	if _, _, ok := parseDevClock(text); !ok {
		return broken("must be a node of the embedded agent and a duration of at most 24h", "use the form local-2=-12s")
	}
	return nil
}

func parseDevClock(text string) (node string, ahead time.Duration, ok bool) {
	node, value, _ := strings.Cut(text, "=")
	ahead, err := time.ParseDuration(value)
	return node, ahead, err == nil && ahead.Abs() <= maxSkew && devNode.MatchString(node)
}

// DevSkews is DevClocks by node.
func (c Config) DevSkews() map[string]time.Duration {
	out := map[string]time.Duration{}
	for _, text := range c.DevClocks {
		if node, ahead, ok := parseDevClock(text); ok { // checked by Load
			out[node] = ahead
		}
	}
	return out
}
