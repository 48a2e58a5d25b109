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
	w := &watch{c: c, q: q, fn: fn, known: map[string][]Instance{}, errs: map[string]error{}}
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

// watch is a Watch in progress.
type watch struct {
	c  *Client
	q  Query
	fn func(Found)

	mu     sync.Mutex
	order  []string // datacenters
	listed error    // why they are not known
	known  map[string][]Instance
	errs   map[string]error
	told   bool
	last   Found
}

func (w *watch) datacenters(names []string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listed = err
	if err == nil {
		w.order = names
	}
	w.tell()
}

func (w *watch) set(ctx context.Context, datacenter string, found []Instance, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() != nil {
		return // it is followed no longer
	}
	w.errs[datacenter] = err
	if found != nil {
		w.known[datacenter] = found
	}
	w.tell()
}

// tell reports a change. It must be called with mu held.
func (w *watch) tell() {
	now := Found{Err: w.listed}
	for _, dc := range w.order {
		found, answered := w.known[dc]
		if !answered && w.errs[dc] == nil {
			return // it will in a moment
		}
		now.Instances = append(now.Instances, found...)
		if now.Err == nil {
			now.Err = w.errs[dc]
		}
	}
	if now.Err == nil && len(w.order) == 0 {
		return
	}
	if w.told && reflect.DeepEqual(now.Instances, w.last.Instances) && text(now.Err) == text(w.last.Err) {
		return
	}
	w.told, w.last = true, now
	w.fn(now)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return fault.Of(err).Text()
}

// follow asks one datacenter by blocking queries. The index goes back to 0 when Consul's has, and is never used if it is 0.
func (w *watch) follow(ctx context.Context, datacenter string) {
	wait := backOff()
	var index uint64
	for {
		found, next, err := w.ask(ctx, datacenter, index)
		if ctx.Err() != nil {
			return
		}
		w.set(ctx, datacenter, found, err)
		again := leastPause
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

// ask returns nil for no answer. An answer may come with an error, too: that of a server which has lost the others.
func (w *watch) ask(ctx context.Context, datacenter string, index uint64) ([]Instance, uint64, error) {
	limit := callTimeout
	if index > 0 {
		limit = blockAtMost
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	q := (&api.QueryOptions{Datacenter: datacenter, AllowStale: true, WaitIndex: index, WaitTime: blockFor}).WithContext(ctx)
	entries, meta, err := w.c.api.Health().Service(w.q.Service, w.q.Tag, true, q)
	if err != nil {
		return nil, 0, w.c.classify(fmt.Sprintf("find %s in Consul's datacenter %s", w.q.Service, datacenter), err)
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
	switch {
	case !meta.KnownLeader:
		err = w.c.classify("find "+w.q.Service, api.StatusError{Code: 500, Body: "No cluster leader"})
	case len(found) == 0 && meta.ResultsFilteredByACLs:
		err = fault.New(fault.ErrUnavailable, fmt.Sprintf("Consul at %s hides the service %s from the console's token.", w.c.cfg.Address, w.q.Service),
			fmt.Sprintf("Give the token (consul.token, CONSUL_HTTP_TOKEN) service:read of %s, and node:read.", w.q.Service)).Because(errors.New("filtered by ACLs"))
	}
	return found, meta.LastIndex, err
}
