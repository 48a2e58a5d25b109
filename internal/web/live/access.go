package live

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
)

// closeNotAllowed is the code with which a socket is closed whose topics its viewer may not follow, or no longer. The page then
// reloads itself.
const closeNotAllowed = 4403

// Recheck is how often a socket finds out what no change announces: that its session or token has expired, and what changed
// while that could not be asked.
const Recheck = 10 * time.Second

// mayFollow finds out who the viewer is now, and checks the rights to the topics that are followed.
func (c *socket) mayFollow(ctx context.Context) error {
	now, err := c.server.o.Auth.Still(ctx)
	if err != nil {
		return err
	}
	c.who.Store(&now)
	topics := c.topics.Load()
	if topics == nil {
		return nil
	}
	ctx = access.With(ctx, now)
	for _, t := range *topics {
		if err := c.server.o.Guard.Allow(ctx, t.right, t.of); err != nil {
			return err
		}
	}
	return nil
}

// watchAccess closes the socket when its viewer may not follow its topics any more.
func (c *socket) watchAccess(ctx context.Context) {
	tick := time.NewTicker(Recheck)
	defer tick.Stop()
	for {
		changed := c.server.o.Auth.Changed() // before asking, so that no change is missed
		err := c.mayFollow(ctx)
		if errors.Is(err, fault.ErrSignedOut) || errors.Is(err, fault.ErrForbidden) || errors.Is(err, fault.ErrNotFound) {
			c.goodbye(closeNotAllowed, "not allowed any more")
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick.C:
		}
	}
}

// visible leaves out messages about runs that the viewer may not see: the topic of all runs has those of all projects.
func visible(ctx context.Context, batch []feed.Message) []feed.Message {
	who := access.From(ctx)
	return slices.DeleteFunc(slices.Clone(batch), func(m feed.Message) bool { return m.Project != "" && !who.May(access.RunsRead, m.Project) })
}
