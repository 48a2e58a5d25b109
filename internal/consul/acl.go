package consul

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/cotrain/cotrain/internal/fault"
)

// administer makes a call that takes a token with acl = "write".
func (c *Client) administer(ctx context.Context, doing string, call func(q *api.QueryOptions, w *api.WriteOptions) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := call((&api.QueryOptions{}).WithContext(ctx), (&api.WriteOptions{}).WithContext(ctx))
	said := api.StatusError{}
	switch {
	case errors.As(err, &said) && strings.Contains(said.Body, "ACL support disabled"):
		return fault.New(fault.ErrForbidden, "Consul's ACLs are off.", "Turn them on with acl { enabled = true } on its agents, then: consul acl bootstrap").Because(err)
	case errors.As(err, &said) && (said.Code == 401 || said.Code == 403):
		return fault.New(fault.ErrForbidden, "Consul does not let the token "+doing+".", "Give a token with acl = \"write\" as consul.token (CONSUL_HTTP_TOKEN), such as that of consul acl bootstrap.").Because(err)
	}
	return c.classify(doing, err)
}

// Policy returns the rules of an ACL policy, and whether it is there.
func (c *Client) Policy(ctx context.Context, name string) (rules string, ok bool, err error) {
	p, err := c.policy(ctx, name)
	if p == nil {
		return "", false, err
	}
	return p.Rules, true, err
}

func (c *Client) policy(ctx context.Context, name string) (p *api.ACLPolicy, err error) {
	err = c.administer(ctx, "read the ACL policy "+name, func(q *api.QueryOptions, _ *api.WriteOptions) error {
		entries, _, err := c.api.ACL().PolicyList(q)
		for _, e := range entries {
			if e.Name == name {
				p, _, err = c.api.ACL().PolicyRead(e.ID, q)
				return err
			}
		}
		return err
	})
	return p, err
}

// PutPolicy creates or changes an ACL policy.
func (c *Client) PutPolicy(ctx context.Context, name, description, rules string) error {
	before, err := c.policy(ctx, name)
	if err != nil {
		return err
	}
	return c.administer(ctx, "write the ACL policy "+name, func(_ *api.QueryOptions, w *api.WriteOptions) error {
		p := &api.ACLPolicy{Name: name, Description: description, Rules: rules}
		if before == nil {
			_, _, err := c.api.ACL().PolicyCreate(p, w)
			return err
		}
		p.ID = before.ID
		_, _, err := c.api.ACL().PolicyUpdate(p, w)
		return err
	})
}

// Login is how workloads of Nomad log in: an auth method, and what a job's token may do.
type Login struct {
	Method string
	Config map[string]any // of a method that is made; one that is there stays as it is
	Role   string         // with the policy of the same name
	// Selector says for which workloads, in Consul's words.
	Selector, Description string
}

// LoginState is what there is of a [Login].
type LoginState struct {
	Method, Role, BindingRule bool
	Selector                  string
	ruleID                    string
}

// Login looks for an auth method with its role and binding rule.
func (c *Client) Login(ctx context.Context, l Login) (s LoginState, err error) {
	err = c.administer(ctx, "read the auth method "+l.Method, func(q *api.QueryOptions, _ *api.WriteOptions) error {
		methods, _, err := c.api.ACL().AuthMethodList(q)
		if err != nil {
			return err
		}
		s.Method = slices.ContainsFunc(methods, func(m *api.ACLAuthMethodListEntry) bool { return m.Name == l.Method })
		roles, _, err := c.api.ACL().RoleList(q)
		if err != nil {
			return err
		}
		for _, r := range roles {
			if r.Name == l.Role && len(r.Policies) == 1 && r.Policies[0].Name == l.Role {
				s.Role = true
			}
		}
		if !s.Method {
			return nil
		}
		rules, _, err := c.api.ACL().BindingRuleList(l.Method, q)
		for _, r := range rules {
			if r.BindType == api.BindingRuleBindTypeRole && r.BindName == l.Role {
				s.BindingRule, s.Selector, s.ruleID = true, r.Selector, r.ID
			}
		}
		return err
	})
	return s, err
}

// PutLogin makes or changes what differs.
func (c *Client) PutLogin(ctx context.Context, l Login) error {
	s, err := c.Login(ctx, l)
	if err != nil {
		return err
	}
	return c.administer(ctx, "write the auth method "+l.Method, func(_ *api.QueryOptions, w *api.WriteOptions) error {
		if !s.Method {
			method := &api.ACLAuthMethod{Name: l.Method, Type: "jwt", Description: "Workloads of Nomad", Config: l.Config}
			if _, _, err := c.api.ACL().AuthMethodCreate(method, w); err != nil {
				return err
			}
		}
		if !s.Role {
			role := &api.ACLRole{Name: l.Role, Description: l.Description, Policies: []*api.ACLLink{{Name: l.Role}}}
			if _, _, err := c.api.ACL().RoleCreate(role, w); err != nil {
				return err
			}
		}
		rule := &api.ACLBindingRule{ID: s.ruleID, Description: l.Description, AuthMethod: l.Method, BindType: api.BindingRuleBindTypeRole, BindName: l.Role, Selector: l.Selector}
		bind := c.api.ACL().BindingRuleUpdate
		if !s.BindingRule {
			bind = c.api.ACL().BindingRuleCreate
		}
		_, _, err := bind(rule, w)
		return err
	})
}

// Tried is a right of the token that was tried by a call that needs it; Err is nil if it is allowed.
type Tried struct {
	Right, For string
	Err        error
}

// TryRights uses what the console's token needs. To try whether the console may register itself as a service, "" for not at all, an
// instance that no check lets anybody find comes and goes.
func (c *Client) TryRights(ctx context.Context, service string) []Tried {
	ctx, cancel := context.WithTimeout(ctx, 3*callTimeout)
	defer cancel()
	q := (&api.QueryOptions{}).WithContext(ctx)
	refused := func(what, fix string) error { return fault.New(fault.ErrForbidden, what, fix) }
	out := []Tried{{Right: "node:read", For: "know where services are"}, {Right: "agent:read", For: "know which datacenter is the agent's own"}}
	nodes, _, err := c.api.Catalog().Nodes(q)
	if out[0].Err = c.classify("list Consul's nodes", err); err == nil && len(nodes) == 0 {
		out[0].Err = refused("Consul shows no node, not even its own servers.", "Give the token node_prefix \"\" { policy = \"read\" }.")
	}
	_, err = c.api.Raw().Query("/v1/agent/self", new(struct{}), q)
	out[1].Err = c.classify("ask the agent who it is", err)
	if service == "" {
		return out
	}
	id := service + "-check"
	s := &api.AgentServiceRegistration{ID: id, Name: service, Check: &api.AgentServiceCheck{CheckID: id, TTL: "1h", Status: api.HealthCritical}}
	err = c.api.Agent().ServiceRegisterOpts(s, api.ServiceRegisterOpts{}.WithContext(ctx))
	if err == nil {
		err = c.api.Agent().ServiceDeregisterOpts(id, q)
	}
	return append(out, Tried{Right: "service:write " + service, For: "register itself", Err: c.classify("register in Consul", err)})
}

// Instances counts the healthy instances of a service in the agent's datacenter, as far as the token sees them.
func (c *Client) Instances(ctx context.Context, service, tag string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	found, _, err := c.api.Health().Service(service, tag, true, (&api.QueryOptions{}).WithContext(ctx))
	return len(found), c.classify("look for the service "+service, err)
}
