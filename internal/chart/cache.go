package chart

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/cotrain/cotrain/internal/run"
)

// Versioned is a store that knows what has not changed.
type Versioned interface {
	Store
	// PointsVersion returns a number that grows whenever a run's points may have changed.
	PointsVersion(ctx context.Context, id run.ID) (int64, error)
}

// Cache keeps encoded answers while nothing that they are made from has changed. Their tag is made from what could change them, so
// that an answer is never compared, expired or thrown away for being old: a changed run asks for another tag. Whoever asks must have
// been allowed to see the run before.
type Cache struct {
	instance string
	limit    int64

	mu    sync.Mutex
	kept  *simplelru.LRU[string, []byte]
	stats CacheStats
}

// CacheStats counts since the console started.
type CacheStats struct {
	Requests, Unchanged, Hits int64 // Unchanged: the client had it
	Entries                   int
	Bytes, Limit              int64
}

// overhead is about what an entry costs beside its body.
const overhead = 200

// NewCache returns a cache of so many bytes. instance is another one at each start, since versions of points are counted from there.
func NewCache(limit int64, instance string) *Cache {
	c := &Cache{instance: instance, limit: limit}
	c.kept, _ = simplelru.NewLRU[string, []byte](math.MaxInt, func(_ string, body []byte) { // its only error is a size below 1
		c.stats.Bytes -= int64(len(body)) + overhead
	})
	return c
}

// Stats returns the counts.
func (c *Cache) Stats() CacheStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Entries, s.Limit = c.kept.Len(), c.limit
	return s
}

// Answer returns the JSON of an answer and its entity tag; no body where known says that the client has it.
func (c *Cache) Answer(ctx context.Context, s Versioned, r run.Run, q Query, known func(tag string) bool) (tag string, body []byte, err error) {
	version, err := s.PointsVersion(ctx, r.ID)
	if err != nil {
		return "", nil, err
	}
	tag = c.tag(r, q, version)
	if body, unchanged := c.get(tag, known); unchanged || body != nil {
		return tag, body, nil
	}
	answer, err := New(s).Answer(ctx, r, q)
	if err != nil {
		return "", nil, err
	}
	body = answer.AppendJSON(nil)
	c.add(tag, body)
	return tag, body, nil
}

// tag names everything that an answer depends on: the run as it is, its points, and the query.
func (c *Cache) tag(r run.Run, q Query, version int64) string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%q %q %d %d %q %+v %q %v", c.instance, r.ID, version, r.Revision, r.State, r.Progress, q.Metrics, []any{q.X, q.From, q.To, q.Pixels, q.Smooth, q.Workers, q.Replaced, q.Newest}) // a hash takes everything
	return `"` + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18]) + `"`
}

func (c *Cache) get(tag string, known func(string) bool) (body []byte, unchanged bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Requests++
	if known(tag) {
		c.stats.Unchanged++
		return nil, true
	}
	body, ok := c.kept.Get(tag)
	if ok {
		c.stats.Hits++
	}
	return body, false
}

func (c *Cache) add(tag string, body []byte) {
	size := int64(len(body)) + overhead
	if size > c.limit/8 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept.Contains(tag) {
		return
	}
	c.kept.Add(tag, body)
	for c.stats.Bytes += size; c.stats.Bytes > c.limit; {
		c.kept.RemoveOldest()
	}
}
