package nomad

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/fault"
)

// Policy is an ACL policy. With a Namespace it counts for the workloads of that namespace, or of its Job alone.
type Policy struct {
	Name, Description string
	Rules             string
	Namespace, Job    string
}

// administer makes a call that takes a management token.
func (c *Client) administer(ctx context.Context, doing string, call func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := classify(doing, call(ctx))
	said := (*answer)(nil)
	switch {
	case notNomad(err) != nil:
		return notNomad(err)
	case errors.As(err, &said) && strings.Contains(said.text, aclsOff):
		return fault.New(fault.ErrNomadDenied, "Nomad's ACLs are off.", "Turn them on with acl { enabled = true } on all agents, as in nomad/agent/server.hcl, then: cotrain cluster setup --bootstrap FILE").Because(err)
	case errors.Is(err, ErrDenied):
		return fault.New(fault.ErrNomadDenied, "Nomad does not let the token "+doing+".", "Give a management token as nomad.token (NOMAD_TOKEN): nomad acl token create -type=management, or cotrain cluster setup --bootstrap FILE where there is none yet.").Because(err)
	case errors.Is(err, fault.ErrNomadRefused) && said != nil:
		return fault.New(fault.ErrNomadRefused, "Nomad refuses to "+doing+": "+strings.TrimSuffix(said.text, ".")+".", "Correct that, and run the command again.").Because(err)
	}
	return err
}

// notNomad is what is wrong with an agent that lacks a whole endpoint, which Nomad answers in words.
func notNomad(err error) error {
	if said := (*answer)(nil); errors.As(err, &said) && said.code == http.StatusNotFound && said.text == "" {
		return fault.New(fault.ErrNomadUnreachable, "What answers has no ACLs, as CoTrain's embedded agent, which needs no rights.", "Check nomad.address (NOMAD_ADDR).").Because(err)
	}
	return nil
}

// aclsOff is Nomad's answer to what is about ACLs where there are none.
const aclsOff = "ACL support disabled"

// found turns "there is none" into false.
func found(err error) (bool, error) {
	if errors.Is(err, fault.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Policy returns a policy, and whether it is there.
func (c *Client) Policy(ctx context.Context, name string) (p Policy, ok bool, err error) {
	err = c.administer(ctx, "read the ACL policy "+name, func(ctx context.Context) error {
		got, _, err := c.calls.ACLPolicies().Info(name, query(ctx))
		if err == nil {
			p = Policy{Name: got.Name, Description: got.Description, Rules: got.Rules}
			if got.JobACL != nil {
				p.Namespace, p.Job = got.JobACL.Namespace, got.JobACL.JobID
			}
		}
		return err
	})
	ok, err = found(err)
	return p, ok, err
}

// PutPolicy creates or changes a policy.
func (c *Client) PutPolicy(ctx context.Context, p Policy) error {
	return c.administer(ctx, "write the ACL policy "+p.Name, func(ctx context.Context) error {
		a := &api.ACLPolicy{Name: p.Name, Description: p.Description, Rules: p.Rules}
		if p.Namespace != "" {
			a.JobACL = &api.JobACL{Namespace: p.Namespace, JobID: p.Job}
		}
		_, err := c.calls.ACLPolicies().Upsert(a, write(ctx))
		return err
	})
}

// Role returns the policies of an ACL role, and whether it is there.
func (c *Client) Role(ctx context.Context, name string) (policies []string, ok bool, err error) {
	err = c.administer(ctx, "read the ACL role "+name, func(ctx context.Context) error {
		got, _, err := c.calls.ACLRoles().GetByName(name, query(ctx))
		if err == nil {
			for _, p := range got.Policies {
				policies = append(policies, p.Name)
			}
		}
		return err
	})
	ok, err = found(err)
	return slices.Sorted(slices.Values(policies)), ok, err
}

// PutRole creates or changes an ACL role.
func (c *Client) PutRole(ctx context.Context, name, description string, policies []string) error {
	return c.administer(ctx, "write the ACL role "+name, func(ctx context.Context) error {
		role := &api.ACLRole{Name: name, Description: description}
		for _, p := range policies {
			role.Policies = append(role.Policies, &api.ACLRolePolicyLink{Name: p})
		}
		before, _, err := c.calls.ACLRoles().GetByName(name, query(ctx))
		switch there, err := found(classify("read the role", err)); {
		case err != nil:
			return err
		case there:
			role.ID = before.ID
			_, _, err = c.calls.ACLRoles().Update(role, write(ctx))
			return err
		}
		_, _, err = c.calls.ACLRoles().Create(role, write(ctx))
		return err
	})
}

// HasNamespace reports whether there is a namespace.
func (c *Client) HasNamespace(ctx context.Context, name string) (bool, error) {
	return found(c.administer(ctx, "read the namespace "+name, func(ctx context.Context) error {
		_, _, err := c.calls.Namespaces().Info(name, query(ctx))
		return err
	}))
}

// CreateNamespace makes a namespace.
func (c *Client) CreateNamespace(ctx context.Context, name, description string) error {
	return c.administer(ctx, "make the namespace "+name, func(ctx context.Context) error {
		_, err := c.calls.Namespaces().Register(&api.Namespace{Name: name, Description: description}, write(ctx))
		return err
	})
}

// HasNodePool reports whether there is a node pool.
func (c *Client) HasNodePool(ctx context.Context, name string) (bool, error) {
	return found(c.administer(ctx, "read the node pool "+name, func(ctx context.Context) error {
		_, _, err := c.calls.NodePools().Info(name, query(ctx))
		return err
	}))
}

// CreateNodePool makes a node pool.
func (c *Client) CreateNodePool(ctx context.Context, name, description string) error {
	return c.administer(ctx, "make the node pool "+name, func(ctx context.Context) error {
		_, err := c.calls.NodePools().Register(&api.NodePool{Name: name, Description: description}, write(ctx))
		return err
	})
}

// CreateToken makes a token with an ACL role and returns its secret.
func (c *Client) CreateToken(ctx context.Context, name, role string) (secret string, err error) {
	err = c.administer(ctx, "make a token", func(ctx context.Context) error {
		got, _, err := c.calls.ACLTokens().Create(&api.ACLToken{Name: name, Type: "client", Roles: []*api.ACLTokenRoleLink{{Name: role}}}, write(ctx))
		if err == nil {
			secret = got.SecretID
		}
		return err
	})
	return secret, err
}

// CreateManagementToken makes a token that may do everything, for Vault to make others with.
func (c *Client) CreateManagementToken(ctx context.Context, name string) (secret string, err error) {
	err = c.administer(ctx, "make a management token", func(ctx context.Context) error {
		got, _, err := c.calls.ACLTokens().Create(&api.ACLToken{Name: name, Type: "management"}, write(ctx))
		if err == nil {
			secret = got.SecretID
		}
		return err
	})
	return secret, err
}

// ErrManagementToken says that a token may do everything, where one of the console was expected.
var ErrManagementToken error = fault.New(fault.ErrInvalid, "A management token is kept there, which setup does not replace.", "Name another place for the console's token.")

// TokenHasRole reports whether a token is alive and has an ACL role, and nothing else. It is [ErrManagementToken] where it may do everything.
func (c *Client) TokenHasRole(ctx context.Context, secret, role string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	q := query(ctx)
	q.AuthToken = secret
	got, _, err := c.calls.ACLTokens().Self(q)
	if err = classify("read a token", err); err != nil {
		if errors.Is(err, fault.ErrUnavailable) {
			return false, err
		}
		return false, nil
	}
	if got.Type == "management" {
		return false, ErrManagementToken
	}
	return len(got.Policies) == 0 && len(got.Roles) == 1 && got.Roles[0].Name == role, nil
}

// OtherTokens are the accessors of the tokens with a name, but for the one with a secret.
func (c *Client) OtherTokens(ctx context.Context, name, secret string) (accessors []string, err error) {
	err = c.administer(ctx, "list tokens", func(ctx context.Context) error {
		own := ""
		if secret != "" {
			q := query(ctx)
			q.AuthToken = secret
			if self, _, err := c.calls.ACLTokens().Self(q); err == nil { // or else it is none of them
				own = self.AccessorID
			}
		}
		all, _, err := c.calls.ACLTokens().List(query(ctx))
		for _, t := range all {
			if t.Name == name && t.AccessorID != own {
				accessors = append(accessors, t.AccessorID)
			}
		}
		return err
	})
	return accessors, err
}

// Bootstrap makes a secret that of a cluster's first management token, and reports false where the cluster has had one before.
func (c *Client) Bootstrap(ctx context.Context, secret string) (first bool, err error) {
	err = c.administer(ctx, "bootstrap its ACLs", func(ctx context.Context) error {
		_, _, err := c.calls.ACLTokens().BootstrapOpts(secret, write(ctx))
		return err
	})
	if said := (*answer)(nil); errors.As(err, &said) && strings.Contains(said.text, "ACL bootstrap already done") {
		return false, nil
	}
	return err == nil, err
}
