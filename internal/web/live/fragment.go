package live

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/a-h/templ"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/inbound"
	"github.com/cotrain/cotrain/internal/run"
	view "github.com/cotrain/cotrain/views/runs"
)

// fragment renders a message's change of a run's page, or "". Viewers who may do the same share the work.
func (s *Server) fragment(ctx context.Context, m feed.Message) (string, error) {
	if m.Type != feed.State && m.Type != feed.Workers && m.Type != feed.EventType {
		return "", nil
	}
	who := access.From(ctx)
	key := fragmentKey{m.Topic, m.Type, who.Role(m.Project), who.MayAnywhere(access.RunsSubmit), m.Seq}
	if html, ok := s.fragments.get(key); ok {
		return html, nil
	}
	own, html, err := s.renderFragment(ctx, m)
	if err != nil {
		return "", fmt.Errorf("fragment of %s for %s: %w", m.Type, m.Topic, err)
	}
	if !own {
		s.fragments.put(key, html)
	}
	return html, nil
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

// fragmentCache holds recent fragments, so each message is rendered once per run.
type fragmentCache struct {
	mu    sync.Mutex
	html  map[fragmentKey]string
	order []fragmentKey
	next  int
}

const fragmentsKept = 256

func newFragmentCache() *fragmentCache {
	return &fragmentCache{html: make(map[fragmentKey]string, fragmentsKept), order: make([]fragmentKey, fragmentsKept)}
}

func (c *fragmentCache) get(k fragmentKey) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	html, ok := c.html[k]
	return html, ok
}

func (c *fragmentCache) put(k fragmentKey, html string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.html[k]; ok {
		return
	}
	delete(c.html, c.order[c.next])
	c.html[k] = html
	c.order[c.next] = k
	c.next = (c.next + 1) % len(c.order)
}
