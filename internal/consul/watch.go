package consul

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/cotrain/cotrain/internal/fault"
)

const (
	// blockFor is how long Consul holds a query back when nothing changes. It adds up to a sixteenth.
	blockFor    = time.Minute
	blockAtMost = blockFor + blockFor/16 + callTimeout
	// leastPause is between queries that something else has answered early.
	leastPause = 200 * time.Millisecond
	// datacentersEvery is how often new datacenters are looked for.
	datacentersEvery = time.Minute
)

// Query says which instances of a service.
type Query struct {
	Service string
	Tag     string // "" for any
}

// Instance is a healthy instance of a service.
type Instance struct {
	Node, Datacenter string
	Address          string // host or IP address
	Port             int
	NodeMeta         map[string]string
}

// Found is what is known of a service now.
type Found struct {
	// Instances are the healthy ones, of the preferred datacenter first, in a stable order; of one that cannot be asked now those
	// that were known before.
	Instances []Instance
	Err       error // what is wrong with Consul, nil for nothing
}

// Watch calls fn, never twice at the same time, with what is known of a service, first when Consul has answered or failed and then
// when that changes, until ctx ends.
func (c *Client) Watch(ctx context.Context, q Query, fn func(Found)) error {
	told, last := false, Found{}
	ask := func(ctx context.Context, datacenter string, index uint64) ([]Instance, uint64, error) {
		return c.instances(ctx, q, datacenter, index)
	}
	return follow(ctx, c, leastPause, ask, func(k known[Instance]) {
		if told && reflect.DeepEqual(k.all, last.Instances) && text(k.err) == text(last.Err) {
			return
		}
		told, last = true, Found{k.all, k.err}
		fn(last)
	})
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return fault.Of(err).Text()
}

// known is what all datacenters have said; of one that cannot be asked now what it said before.
type known[T any] struct {
	all         []T // of the preferred datacenter first
	datacenters []string
	at          time.Time // when the last of them answered, zero if one never has
	err         error     // what is wrong, nil for nothing
}

// watch follows all datacenters.
type watch[T any] struct {
	c     *Client
	pause time.Duration // between two queries, at least
	// ask returns nil for no answer, and when it is to be asked again the index of this one. An answer may come with an error, too.
	ask func(ctx context.Context, datacenter string, index uint64) ([]T, uint64, error)
	fn  func(known[T])

	mu     sync.Mutex
	order  []string // datacenters
	listed error    // why they are not known
	said   map[string][]T
	at     map[string]time.Time
	errs   map[string]error
}

// follow calls fn, never twice at the same time, whenever a datacenter has answered or failed, once all have, until ctx ends.
func follow[T any](ctx context.Context, c *Client, least time.Duration, ask func(context.Context, string, uint64) ([]T, uint64, error), fn func(known[T])) error {
	w := &watch[T]{c: c, pause: least, ask: ask, fn: fn, said: map[string][]T{}, at: map[string]time.Time{}, errs: map[string]error{}}
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	following := map[string]context.CancelFunc{}
	wait := backOff()
	for {
		names, err := c.Datacenters(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		again := datacentersEvery
		if err != nil {
			again = wait.NextBackOff()
		} else {
			wait.Reset()
			for name, stop := range following {
				if !slices.Contains(names, name) {
					stop()
					delete(following, name)
				}
			}
			for _, name := range names {
				if following[name] == nil {
					sub, stop := context.WithCancel(ctx)
					following[name] = stop
					running.Go(func() { w.follow(sub, name) })
				}
			}
		}
		w.datacenters(names, err)
		if err := pause(ctx, again); err != nil {
			return err
		}
	}
}

func (w *watch[T]) datacenters(names []string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listed = err
	if err == nil {
		w.order = names
	}
	w.tell()
}

func (w *watch[T]) set(ctx context.Context, datacenter string, found []T, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() != nil {
		return // it is followed no longer
	}
	w.errs[datacenter] = err
	if found != nil {
		w.said[datacenter] = found
	}
	if err == nil {
		w.at[datacenter] = time.Now()
	}
	w.tell()
}

// tell reports what is known. It must be called with mu held.
func (w *watch[T]) tell() {
	now := known[T]{datacenters: w.order, err: w.listed}
	for i, dc := range w.order {
		found, answered := w.said[dc]
		if !answered && w.errs[dc] == nil {
			return // it will in a moment
		}
		now.all = append(now.all, found...)
		if at := w.at[dc]; i == 0 || at.Before(now.at) {
			now.at = at
		}
		if now.err == nil {
			now.err = w.errs[dc]
		}
	}
	if now.err == nil && len(w.order) == 0 {
		return
	}
	w.fn(now)
}

// follow asks one datacenter by blocking queries. The index goes back to 0 when Consul's has, and is never used if it is 0.
func (w *watch[T]) follow(ctx context.Context, datacenter string) {
	wait := backOff()
	var index uint64
	for {
		found, next, err := w.ask(ctx, datacenter, index)
		if ctx.Err() != nil {
			return
		}
		w.set(ctx, datacenter, found, err)
		again := w.pause
		switch {
		case found == nil:
			again, index = wait.NextBackOff(), 0
		case next < index:
			index = 0
		default:
			index = max(next, 1)
			wait.Reset()
		}
		if pause(ctx, again) != nil {
			return
		}
	}
}

// blocking is a query that Consul holds back while nothing has changed since an index, 0 for one that it answers at once.
func blocking(ctx context.Context, datacenter string, index uint64) (*api.QueryOptions, context.CancelFunc) {
	limit := callTimeout
	if index > 0 {
		limit = blockAtMost
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	return (&api.QueryOptions{Datacenter: datacenter, AllowStale: true, WaitIndex: index, WaitTime: blockFor}).WithContext(ctx), cancel
}

// leaderless is the error of an answer by a server that has lost the others, nil for another.
func (c *Client) leaderless(doing string, meta *api.QueryMeta) error {
	if meta.KnownLeader {
		return nil
	}
	return c.classify(doing, api.StatusError{Code: 500, Body: "No cluster leader"})
}

// instances asks one datacenter for the healthy instances of a service.
func (c *Client) instances(ctx context.Context, of Query, datacenter string, index uint64) ([]Instance, uint64, error) {
	q, cancel := blocking(ctx, datacenter, index)
	defer cancel()
	entries, meta, err := c.api.Health().Service(of.Service, of.Tag, true, q)
	if err != nil {
		return nil, 0, c.classify(fmt.Sprintf("find %s in Consul's datacenter %s", of.Service, datacenter), err)
	}
	found := []Instance{}
	for _, e := range entries {
		if e == nil || e.Node == nil || e.Service == nil || e.Service.Port <= 0 {
			continue
		}
		found = append(found, Instance{
			Node: e.Node.Node, Datacenter: cmp.Or(e.Node.Datacenter, datacenter), Address: cmp.Or(e.Service.Address, e.Node.Address), Port: e.Service.Port, NodeMeta: e.Node.Meta,
		})
	}
	slices.SortFunc(found, func(a, b Instance) int {
		return cmp.Or(strings.Compare(a.Node, b.Node), strings.Compare(a.Address, b.Address), a.Port-b.Port)
	})
	err = c.leaderless("find "+of.Service, meta)
	if err == nil && len(found) == 0 && meta.ResultsFilteredByACLs {
		err = fault.New(fault.ErrUnavailable, fmt.Sprintf("Consul at %s hides the service %s from the console's token.", c.cfg.Address, of.Service),
			fmt.Sprintf("Give the token (consul.token, CONSUL_HTTP_TOKEN) service:read of %s, and node:read.", of.Service)).Because(errors.New("filtered by ACLs"))
	}
	return found, meta.LastIndex, err
}
