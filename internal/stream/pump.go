package stream

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
)

// The shortest time between the states of many runs: 500 training runs change 500 times a second.
const (
	statesEvery    = time.Second
	statesEveryRun = 4 * time.Millisecond // plus this per run
)

// Beat is how often a connection shows that it lives: proxies end silent ones after a minute.
const Beat = 2 * Recheck

// WriteTimeout is how long a viewer may not read before it is disconnected.
const WriteTimeout = 10 * time.Second

// Sink is the transport of a viewer. What its methods send may wait for [Sink.Flush].
type Sink interface {
	// Begin tells from where on the topics are followed.
	Begin(at Positions) error
	// Send sends messages of one topic, in order: a single one, or the newest states of many runs. at is where the viewer is
	// before them; it is the pump's.
	Send(ctx context.Context, ms []feed.Message, at Positions) error
	// Beat shows that the connection lives.
	Beat(at Positions) error
	// Flush sends what waits. The viewer has [WriteTimeout] to read it.
	Flush() error
}

// Pump sends a viewer what comes in topics.
type Pump struct {
	viewer  *Viewer
	topics  Positions // that were asked for
	changed <-chan struct{}

	sub     *feed.Subscription
	to      Sink
	at      Positions                          // what the viewer has
	held    map[string]map[run.ID]feed.Message // unsent states of topics with many runs
	due     time.Time                          // when to send them
	recheck time.Time
	checks  int
	as      context.Context //nolint:containedctx // of Run, as the viewer is
	asked   int             // the viewer's, when as was made
	timer   *time.Timer
	armed   time.Time // when the timer fires
}

// Follow returns a pump of topics, or why the viewer may not follow them: an error that matches [ErrNotAllowed], or that of
// what could not be asked.
func (v *Viewer) Follow(topics Positions) (*Pump, error) {
	changed := v.server.o.Auth.Changed() // before asking, so that no change is missed
	if err := v.allow(v.ctx, topics, true); err != nil {
		return nil, err
	}
	return &Pump{viewer: v, topics: topics, changed: changed}, nil
}

// Run sends until the sink fails, ctx ends, or [ErrNotAllowed]. A viewer that falls behind gets the newest states, and a gap
// for what its topic has no more.
func (p *Pump) Run(ctx context.Context, to Sink) error {
	p.to, p.sub = to, p.viewer.server.o.Feed.Subscribe(p.topics)
	defer p.sub.Close()
	p.at, p.recheck, p.timer = p.sub.Positions(), time.Now().Add(Recheck), time.NewTimer(Recheck)
	p.armed = p.recheck
	defer p.timer.Stop()
	if err := to.Begin(p.at); err != nil {
		return err
	}
	for {
		batch := p.sub.Take()
		if err := p.pass(ctx, batch); err != nil {
			return err
		}
		if err := to.Flush(); err != nil {
			return err
		}
		next := p.wait
		if len(batch) > 0 { // a wake-up is for who has taken all
			next = p.tend
		}
		if err := next(ctx); err != nil {
			return err
		}
	}
}

// wait returns when there may be something to send.
func (p *Pump) wait(ctx context.Context) error {
	next := p.recheck
	if len(p.held) > 0 && p.due.Before(next) {
		next = p.due
	}
	if !next.Equal(p.armed) {
		p.timer.Reset(time.Until(next))
		p.armed = next
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.sub.Wake():
	case <-p.changed:
	case <-p.timer.C:
		p.armed = time.Time{}
	}
	return p.tend(ctx)
}

// tend does what is due.
func (p *Pump) tend(ctx context.Context) error {
	now := time.Now()
	if len(p.held) > 0 && !now.Before(p.due) {
		for _, topic := range slices.Sorted(maps.Keys(p.held)) {
			if err := p.release(ctx, topic); err != nil {
				return err
			}
		}
	}
	if now.Before(p.recheck) {
		return nil
	}
	p.recheck = now.Add(Recheck)
	p.changed = p.viewer.server.o.Auth.Changed()
	if err := p.viewer.allow(ctx, p.topics, false); err != nil {
		return err
	}
	if p.checks++; p.checks%int(Beat/Recheck) != 0 {
		return nil
	}
	return p.to.Beat(p.at)
}

// pass sends messages, or holds them.
func (p *Pump) pass(ctx context.Context, batch []feed.Message) error {
	left := feed.Coalesce(p.viewer.visible(batch))
	for i, m := range left {
		if feed.Replaces(m.Type) && HasManyRuns(m.Topic) {
			p.hold(m)
			continue
		}
		if err := p.release(ctx, m.Topic); err != nil { // earlier states must not follow m
			return err
		}
		if err := p.send(ctx, left[i:i+1]); err != nil {
			return err
		}
	}
	for _, m := range batch { // also beyond what was left out
		if len(p.held[m.Topic]) == 0 {
			p.at[m.Topic] = m.Seq
		}
	}
	return p.allowed(ctx)
}

// HasManyRuns reports whether a topic has many runs' states.
func HasManyRuns(topic string) bool {
	return topic == feed.RunsTopic || topic == feed.TrainingTopic || strings.HasPrefix(topic, feed.RunsOf("")) || strings.HasPrefix(topic, feed.SweepTopic(""))
}

func (p *Pump) hold(m feed.Message) {
	if p.held == nil {
		p.held = map[string]map[run.ID]feed.Message{}
	}
	if p.held[m.Topic] == nil {
		p.held[m.Topic] = map[run.ID]feed.Message{}
	}
	p.held[m.Topic][m.Run] = m
}

// release sends a topic's held states.
func (p *Pump) release(ctx context.Context, topic string) error {
	held := p.held[topic]
	if len(held) == 0 {
		return nil
	}
	delete(p.held, topic)
	p.due = time.Now().Add(statesEvery + time.Duration(len(held))*statesEveryRun)
	return p.send(ctx, slices.SortedFunc(maps.Values(held), func(a, b feed.Message) int { return cmp.Compare(a.Seq, b.Seq) }))
}

// allowed finds out whether the viewer may still follow its topics, if anything has changed.
func (p *Pump) allowed(ctx context.Context) error {
	select {
	case <-p.changed:
	default:
		return nil
	}
	p.changed = p.viewer.server.o.Auth.Changed()
	return p.viewer.allow(ctx, p.topics, false)
}

func (p *Pump) send(ctx context.Context, ms []feed.Message) error {
	if err := p.allowed(ctx); err != nil { // a slow viewer must not get what was waiting for it
		return err
	}
	if ms = p.viewer.visible(ms); len(ms) == 0 {
		return nil
	}
	if p.asked != p.viewer.asked { // the identity is the same as long as it is not asked for
		p.as, p.asked = access.With(ctx, p.viewer.who), p.viewer.asked
	}
	if err := p.to.Send(p.as, ms, p.at); err != nil {
		return err
	}
	last := ms[len(ms)-1]
	p.at[last.Topic] = last.Seq
	return nil
}
