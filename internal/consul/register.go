package consul

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/consul/api"
)

// Registration is a service of this process.
type Registration struct {
	ID, Name string
	Address  string // host or IP address; "" for that of the agent's machine
	Port     int
	Tags     []string
	Meta     map[string]string
	Check    Check
}

// Check is how the agent finds out that the service works.
type Check struct {
	URL  string // of an HTTP check, or ""
	Host string // that it asks for, "" for the URL's
	TCP  string // host:port of a check that only connects, if there is no URL
}

const (
	checkEvery   = 10 * time.Second
	checkTimeout = 5 * time.Second
	// forgetAfter is when the agent drops a service that has been critical all the time: a process that was killed.
	forgetAfter = time.Hour
)

// Keep registers a service, again when the agent has lost it, and deregisters it when ctx ends. report is called with what is wrong,
// nil for nothing, when that may have changed.
func (c *Client) Keep(ctx context.Context, r Registration, report func(error)) error {
	wait := backOff()
	for {
		err := c.register(ctx, r)
		if err == nil {
			report(nil)
			c.log.Info("registered in Consul", "service", r.Name, "id", r.ID)
			wait.Reset()
			err = c.untilLost(ctx, r.ID, report)
		}
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), c.deregister(context.WithoutCancel(ctx), r.ID))
		}
		if err != nil {
			report(err)
		}
		if pause(ctx, wait.NextBackOff()) != nil {
			return errors.Join(ctx.Err(), c.deregister(context.WithoutCancel(ctx), r.ID))
		}
	}
}

func (c *Client) register(ctx context.Context, r Registration) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	check := &api.AgentServiceCheck{
		CheckID: r.ID + ":ready", Name: r.Name + " is ready", Interval: checkEvery.String(), Timeout: checkTimeout.String(),
		DeregisterCriticalServiceAfter: forgetAfter.String(), HTTP: r.Check.URL, TCP: r.Check.TCP,
	}
	if r.Check.URL != "" {
		check.TCP = ""
		check.TLSSkipVerify = true // it asks whether the console is ready, and sends nothing that is secret
	}
	if r.Check.Host != "" {
		check.Header = map[string][]string{"Host": {r.Check.Host}}
	}
	s := &api.AgentServiceRegistration{ID: r.ID, Name: r.Name, Address: r.Address, Port: r.Port, Tags: r.Tags, Meta: r.Meta, Check: check}
	return c.classify("register in Consul", c.api.Agent().ServiceRegisterOpts(s, api.ServiceRegisterOpts{ReplaceExistingChecks: true}.WithContext(ctx)))
}

// untilLost returns nil when the agent no longer has the service, and an error when it cannot be asked.
func (c *Client) untilLost(ctx context.Context, id string, report func(error)) error {
	hash := ""
	for {
		next, err := c.registered(ctx, id, hash)
		var said api.StatusError
		switch {
		case errors.As(err, &said) && said.Code == http.StatusNotFound:
			c.log.Warn("Consul has lost the console's service; registering it again", "id", id)
			return nil
		case err != nil:
			return c.classify("look for the console's service in Consul", err)
		}
		report(nil)
		if next == "" || next == hash {
			if err := pause(ctx, leastPause); err != nil {
				return err
			}
		}
		hash = next
	}
}

// registered returns the hash of what the agent has, once that is another one.
func (c *Client) registered(ctx context.Context, id, hash string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, blockAtMost)
	defer cancel()
	q := (&api.QueryOptions{WaitHash: hash, WaitTime: blockFor}).WithContext(ctx)
	_, meta, err := c.api.Agent().Service(url.PathEscape(id), q)
	if err != nil {
		return "", err
	}
	return meta.LastContentHash, nil
}

func (c *Client) deregister(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if err := c.api.Agent().ServiceDeregisterOpts(id, (&api.QueryOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("service %s stays in Consul until it has been critical for %v: %w", id, forgetAfter, c.classify("deregister", err))
	}
	return nil
}
