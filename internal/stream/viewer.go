package stream

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
)

// ErrNotAllowed ends a connection whose viewer may not follow its topics, or not any more.
var ErrNotAllowed = errors.New("not allowed, or not any more")

// notAllowed is [ErrNotAllowed] for a topic.
type notAllowed struct{ topic string }

func (e notAllowed) Error() string        { return e.topic + ": " + ErrNotAllowed.Error() }
func (e notAllowed) Is(target error) bool { return target == ErrNotAllowed }

// WhyNot tells a client why an error that matches [ErrNotAllowed] has ended its connection: the topic, unless it is all of them.
func WhyNot(err error) string {
	var of notAllowed
	if errors.As(err, &of) {
		return of.Error()
	}
	return ErrNotAllowed.Error()
}

// Viewer is one connection.
type Viewer struct {
	server *Server
	ctx    context.Context // ends with the request, the server and Close
	cancel context.CancelFunc
	unhook func() bool
	closed sync.Once
	user   access.UserID   // that it counts for
	who    access.Identity // now; of the pump alone
	asked  int             // how often it was found out
}

// Context ends when the connection has to.
func (v *Viewer) Context() context.Context { return v.ctx }

// Stopping reports whether the console, and not the viewer, ends the connection.
func (v *Viewer) Stopping() bool { return v.server.ctx.Err() != nil }

// Close ends the connection, which counts no more.
func (v *Viewer) Close() {
	v.closed.Do(func() {
		v.unhook()
		v.cancel()
		v.server.disconnect(v.user)
	})
}

// allow finds out who the viewer is now, and whether that may follow the topics. first has all topics asked for; later only
// what the viewer has lost since matters, for a topic stays in its project.
func (v *Viewer) allow(ctx context.Context, topics Positions, first bool) error {
	now, err := v.server.o.Auth.Still(ctx)
	refused := ErrNotAllowed
	if err == nil {
		kept := now.Includes(v.who) && now.First == nil
		v.who = now
		v.asked++
		if kept && !first {
			return nil
		}
		ctx = access.With(ctx, now)
		for _, topic := range slices.Sorted(maps.Keys(topics)) { // in one order, so that the answer tells nothing of what is hidden
			s, _ := subjectOf(topic)
			if err = v.server.o.Guard.Allow(ctx, s.right, s.of); err != nil {
				refused = notAllowed{topic}
				break
			}
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fault.ErrSignedOut), errors.Is(err, fault.ErrForbidden), errors.Is(err, fault.ErrNotFound):
		return errors.Join(refused, err)
	case first:
		return err
	}
	return nil // it cannot be asked; the next time counts
}

// visible leaves out messages about runs that the viewer may not see: the topic of all runs has those of all projects.
func (v *Viewer) visible(batch []feed.Message) []feed.Message {
	hidden := func(m feed.Message) bool { return m.Project != "" && !v.who.May(access.RunsRead, m.Project) }
	if !slices.ContainsFunc(batch, hidden) {
		return batch
	}
	return slices.DeleteFunc(slices.Clone(batch), hidden)
}
