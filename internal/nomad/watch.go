package nomad

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/fault"
)

// maxEventLine bounds a line of the event stream; job events carry the job.
const maxEventLine = 32 << 20

// Hint says that something may have changed. Hints can repeat and go missing; Resync says that some did.
type Hint struct {
	JobID   string // child job, or ""
	AllocID string
	NodeID  string
	// Resync is sent for each new connection: read everything again.
	Resync bool
	// Unreachable is why there is no stream, sent for each failed attempt; else nil.
	Unreachable error
}

// Watch follows Nomad's event stream and calls fn, never twice at the same time, with hints about our jobs and nodes. It
// reconnects until ctx ends and returns its error. Each namespace has a stream of its own: one for all takes a token that may
// read the jobs of all. While it runs, a server of Nomad that hangs is noticed.
func (c *Client) Watch(ctx context.Context, fn func(Hint)) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	var one sync.Mutex
	hint := func(h Hint) {
		one.Lock()
		defer one.Unlock()
		fn(h)
	}
	running.Go(func() { c.servers.Keep(ctx, c.looks) })
	began := map[string]bool{}
	for {
		names, more := c.watched.all()
		for _, name := range names {
			if !began[name] && name != c.cfg.Namespace {
				began[name] = true
				running.Go(func() { c.follow(ctx, name, hint) })
			}
		}
		if !began[""] {
			began[""] = true
			running.Go(func() { c.follow(ctx, "", hint) })
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// follow watches one namespace, "" for the one of the settings, and the nodes with it.
func (c *Client) follow(ctx context.Context, namespace string, fn func(Hint)) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = reconnect/40, reconnect
	wait.Reset()
	told := ""
	for {
		began := time.Now()
		err := c.watchOnce(ctx, namespace, fn)
		if ctx.Err() != nil {
			return
		}
		c.log.Debug("event stream ended", "namespace", namespace, "error", err)
		if time.Since(began) > reconnect && len(c.Servers()) > 1 {
			wait.Reset()
			continue // another server has the same events
		}
		if namespace == "" {
			fn(Hint{Unreachable: err})
		} else if told != err.Error() && !errors.Is(err, fault.ErrUnavailable) { // Nomad itself is there
			told = err.Error()
			c.log.Warn("a namespace cannot be watched: its runs are looked at from time to time", "namespace", namespace, "err", err)
		}
		if time.Since(began) > reconnect {
			wait.Reset()
		}
		select {
		case <-time.After(wait.NextBackOff()):
		case <-ctx.Done():
			return
		}
	}
}

// watchOnce connects, sends Resync, and reads until the stream ends, with a non-nil error.
func (c *Client) watchOnce(ctx context.Context, namespace string, fn func(Hint)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if namespace == "" {
		if _, err := c.Ping(ctx); err != nil {
			return err
		}
	}
	silent := fmt.Errorf("the event stream said nothing for %v: %w", eventSilence, fault.ErrNomadUnreachable)
	watchdog := time.AfterFunc(eventSilence, func() { cancel(silent) })
	defer watchdog.Stop()

	// It checks the token, too: the stream answers 200 before that.
	index, err := c.newestIndex(ctx, namespace)
	if err != nil {
		return err
	}
	body, err := c.eventStream(ctx, namespace, index)
	if err != nil {
		return orCause(ctx, err)
	}
	defer func() { _ = body.Close() }() // read-only
	lines := bufio.NewReaderSize(body, 64<<10)
	fn(Hint{Resync: true})
	for {
		watchdog.Reset(eventSilence)
		line, err := readLine(lines)
		watchdog.Stop()
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return fmt.Errorf("read the event stream: %w: %w", fault.ErrNomadUnreachable, err)
		}
		if err := deliver(line, fn); err != nil {
			return err
		}
	}
}

// newestIndex returns an index such that the stream misses nothing that a later list misses.
func (c *Client) newestIndex(ctx context.Context, namespace string) (uint64, error) {
	q := query(ctx)
	q.Namespace, q.Prefix, q.PerPage = orDefault(namespace, c.cfg.Namespace), parentPrefix, 1
	_, meta, err := list[api.JobListStub](c, "list jobs", "/v1/jobs", q)
	if err != nil {
		return 0, err
	}
	return meta.LastIndex, nil
}

// topics of an event stream; nodes are in no namespace, and come with one stream only.
const topics = "/v1/event/stream?topic=Allocation&topic=Job&topic=Evaluation"

func (c *Client) eventStream(ctx context.Context, namespace string, index uint64) (io.ReadCloser, error) {
	q, endpoint := query(ctx), topics
	q.Params["index"] = strconv.FormatUint(index, 10)
	q.Namespace = namespace
	if namespace == "" {
		endpoint += "&topic=Node"
	}
	body, err := c.streams.Raw().Response(endpoint, q)
	return body, classify("open the event stream", err)
}

func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > maxEventLine {
			return nil, errors.New("an event is longer than any that Nomad sends")
		}
		if err == nil && line == nil {
			return part, nil // valid until the next read
		}
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// events is a line of the stream. The first filter key of allocations and evaluations is their job.
type events struct {
	Events []struct {
		Topic      string
		Key        string
		FilterKeys []string
		Payload    struct {
			Allocation *struct{ JobID, NodeID string }
		}
	}
}

// deliver turns a line into distinct hints. A heartbeat has no events.
func deliver(line []byte, fn func(Hint)) error {
	var batch events
	if err := json.Unmarshal(line, &batch); err != nil {
		return fmt.Errorf("event stream: %w: %q is no event: %w", fault.ErrNomadUnreachable, clean(string(line)), err)
	}
	var told []Hint
	for _, ev := range batch.Events {
		var h Hint
		switch api.Topic(ev.Topic) {
		case api.TopicAllocation:
			h.AllocID, h.JobID = ev.Key, first(ev.FilterKeys)
			if a := ev.Payload.Allocation; a != nil {
				h.JobID, h.NodeID = a.JobID, a.NodeID
			}
		case api.TopicJob:
			h.JobID = ev.Key
		case api.TopicEvaluation:
			h.JobID = first(ev.FilterKeys)
		case api.TopicNode:
			h.NodeID = ev.Key
		}
		if h.JobID != "" && !strings.HasPrefix(h.JobID, parentPrefix) {
			continue
		}
		if h != (Hint{}) && !slices.Contains(told, h) {
			told = append(told, h)
			fn(h)
		}
	}
	return nil
}

func first(keys []string) string {
	if len(keys) == 0 {
		return ""
	}
	return keys[0]
}
