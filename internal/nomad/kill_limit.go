package nomad

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// KillLimitMeta is a node's metadata that says its client's max_kill_timeout: Nomad's API does not tell it, since
// /v1/agent/self describes only the agent that answers.
const KillLimitMeta = "cotrain_max_kill_timeout"

// killLimitKept is how long a node's limit is believed: a client reads it when it starts.
const killLimitKept = 5 * time.Minute

// killLimit is what a node's metadata said at a time; limit is 0 for nothing.
type killLimit struct {
	limit time.Duration
	name  string
	read  time.Time
}

// KillLimit returns the shortest max_kill_timeout of nodes, as their metadata say, and the name of the node; 0 if none does.
func (c *Client) KillLimit(ctx context.Context, nodeIDs []string) (limit time.Duration, node string) {
	limits := make([]killLimit, len(nodeIDs))
	var reading errgroup.Group
	reading.SetLimit(inspectAtOnce)
	for i, id := range nodeIDs {
		reading.Go(func() error {
			limits[i] = c.killLimitOf(ctx, id)
			return nil
		})
	}
	_ = reading.Wait() // never fails
	for _, l := range limits {
		if l.limit > 0 && (limit == 0 || l.limit < limit) {
			limit, node = l.limit, l.name
		}
	}
	return limit, node
}

func (c *Client) killLimitOf(ctx context.Context, id string) killLimit {
	c.mu.Lock()
	known, ok := c.killLimits[id]
	c.mu.Unlock()
	if ok && time.Since(known.read) < killLimitKept {
		return known
	}
	n, err := c.inspect(ctx, id)
	if err != nil {
		c.log.Debug("max_kill_timeout of a node not read", "node", id, "err", err)
		return killLimit{}
	}
	known = killLimit{name: n.Name, read: time.Now()}
	if limit, err := time.ParseDuration(n.Meta[KillLimitMeta]); err == nil {
		known.limit = max(0, limit)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.killLimits == nil {
		c.killLimits = map[string]killLimit{}
	}
	for other, l := range c.killLimits { // nodes come and go
		if time.Since(l.read) >= killLimitKept {
			delete(c.killLimits, other)
		}
	}
	c.killLimits[id] = known
	return known
}
