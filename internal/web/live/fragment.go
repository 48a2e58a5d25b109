package live

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/a-h/templ"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/inbound"
	"github.com/cotrain/cotrain/internal/run"
	view "github.com/cotrain/cotrain/views/runs"
)

// fragment renders a message's change of a run's page, or nil. Viewers who may do the same share the frame.
func (s *Server) fragment(ctx context.Context, m feed.Message) (*frame, error) {
	if m.Type != feed.State && m.Type != feed.Workers && m.Type != feed.EventType {
		return nil, nil
	}
	who := access.From(ctx)
	shared := s.fragments.of(fragmentKey{m.Topic, m.Type, who.Role(m.Project), who.MayAnywhere(access.RunsSubmit), m.Seq})
	mine := false
	shared.once.Do(func() {
		mine = true
		shared.fragment = s.newFragment(ctx, m)
	})
	if mine || !shared.own {
		return shared.frame, shared.err
	}
	f := s.newFragment(ctx, m)
	return f.frame, f.err
}

// fragment is a rendered change, nil where there is none.
type fragment struct {
	frame *frame
	own   bool // the viewer's
	err   error
}

func (s *Server) newFragment(ctx context.Context, m feed.Message) (f fragment) {
	own, html, err := s.renderFragment(ctx, m)
	if err != nil || html == "" {
		return fragment{nil, own || err != nil, err} // the next one tries again
	}
	made, err := newFrame(outgoing{Topic: m.Topic, Seq: m.Seq, Type: "html", Data: html})
	if err != nil {
		return fragment{nil, own, err}
	}
	return fragment{made.(*frame), own, nil}
}

// renderFragment reports whether the fragment is the viewer's own: that of a waiting run tells of runs of other projects only
// what the viewer may know.
func (s *Server) renderFragment(ctx context.Context, m feed.Message) (own bool, html string, err error) {
	own = access.From(ctx).Limit != nil // a token's, which may less than its role
	switch m.Type {
	case feed.State:
		var r run.Run
		if err := json.Unmarshal(m.Data, &r); err != nil {
			return own, "", err
		}
		if r.State == run.Queued { // messages have no queue position
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			runs := []run.Run{r}
			if err := s.o.Runs.SetQueuePlaces(ctx, runs); err != nil {
				return own, "", err
			}
			r, own = runs[0], true
		}
		html, err = s.toString(ctx, templ.Join(view.Headline(r, s.o.Now()), view.Facts(r, s.o.Now())))
		return own, html, err
	case feed.Workers:
		var workers []run.Worker
		if err := json.Unmarshal(m.Data, &workers); err != nil {
			return own, "", err
		}
		r := run.Run{ID: run.ID(m.Topic[len("run:"):])}
		if len(workers) == 0 || len(run.Losses(workers)) > 0 { // only then do the parts need the rest of the run
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			if r, err = s.o.Runs.Run(ctx, r.ID); err != nil {
				return own, "", err
			}
		}
		html, err = s.toString(ctx, templ.Join(view.Losses(r, workers), view.Workers(r, workers, s.o.Now()), view.WorkersShort(r, workers, s.o.Now())))
		return own, html, err
	}
	var e run.Event
	if err := json.Unmarshal(m.Data, &e); err != nil {
		return own, "", err
	}
	html, err = s.toString(ctx, view.EventRow(e, s.o.Now()))
	return own, html, err
}

func (s *Server) toString(ctx context.Context, c templ.Component) (string, error) {
	var b bytes.Buffer
	err := c.Render(ctx, &b)
	return string(inbound.Rebase(b.Bytes(), s.o.Base)), err
}

type fragmentKey struct {
	topic, typ string
	role       access.Role // of the viewer, who is offered what it may do
	submits    bool        // in any project
	seq        int64
}

// sharedFragment is rendered by the first who needs it.
type sharedFragment struct {
	once sync.Once
	fragment
}

// fragmentCache holds recent fragments, so each message is rendered once per role.
type fragmentCache struct {
	mu    sync.Mutex
	all   map[fragmentKey]*sharedFragment
	order []fragmentKey
	next  int
}

const fragmentsKept = 256

func newFragmentCache() *fragmentCache {
	return &fragmentCache{all: make(map[fragmentKey]*sharedFragment, fragmentsKept), order: make([]fragmentKey, fragmentsKept)}
}

// of returns the fragment of a key, in place of the oldest where it is new.
func (c *fragmentCache) of(k fragmentKey) *sharedFragment {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.all[k]; ok {
		return f
	}
	delete(c.all, c.order[c.next])
	c.all[k] = &sharedFragment{}
	c.order[c.next] = k
	c.next = (c.next + 1) % len(c.order)
	return c.all[k]
}
