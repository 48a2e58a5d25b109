package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/cotrain/cotrain/internal/consul"
	files "github.com/cotrain/cotrain/nomad"
)

// Consul is what setup reads and writes there, with a token that has acl = "write".
type Consul interface {
	Policy(ctx context.Context, name string) (rules string, ok bool, err error)
	PutPolicy(ctx context.Context, name, description, rules string) error
	Login(ctx context.Context, l consul.Login) (consul.LoginState, error)
	PutLogin(ctx context.Context, l consul.Login) error
}

func (s *setup) inConsul() ([]thing, error) {
	if s.consul == nil {
		s.report.Notes = append(s.report.Notes, "Consul was left alone: CONSUL_HTTP_ADDR is not set.")
		return nil, nil
	}
	service := s.o.ConsulService
	if service == "" {
		service = "cotrain"
	}
	rules, err := files.Fill("consul/console.hcl", files.Values{"consul_service": service})
	if err != nil {
		return nil, err
	}
	out := []thing{{"consul", "policy", consoleName, func(ctx context.Context) (string, bool, error) { return s.consul.Policy(ctx, consoleName) },
		text(rules), func(ctx context.Context) error {
			return s.consul.PutPolicy(ctx, consoleName, "CoTrain's console", rules)
		}}}
	if !s.o.ServiceJob {
		s.report.Notes = append(s.report.Notes, "Consul: make the console's token with consul acl token create -policy-name "+consoleName+".")
		return out, nil
	}
	login, err := s.login()
	if err != nil {
		return nil, err
	}
	return append(out, thing{"consul", "auth method", login.Method, func(ctx context.Context) (string, bool, error) {
		is, err := s.consul.Login(ctx, login)
		var have []string
		if is.Role {
			have = append(have, "role "+login.Role)
		}
		if is.BindingRule {
			have = append(have, "for "+is.Selector)
		}
		return strings.Join(have, "\n"), is.Method, err
	}, text("role " + login.Role + "\nfor " + login.Selector), func(ctx context.Context) error { return s.consul.PutLogin(ctx, login) }}), nil
}

// login is how the console's job logs in.
func (s *setup) login() (consul.Login, error) {
	login := consul.Login{Method: s.o.ConsulMethod, Role: consoleName}
	config, err := files.Fill("consul/jwt-config.json", files.Values{"jwks_url": s.o.JWKSURL, "jwks_ca_pem": s.o.JWKSCA})
	if err == nil {
		err = json.Unmarshal([]byte(config), &login.Config)
	}
	if err != nil {
		return login, fmt.Errorf("consul/jwt-config.json: %w", err)
	}
	var rule struct{ Description, Selector string }
	text, err := files.Fill("consul/binding-rule.json", files.Values{"consul_auth_method": login.Method, "console_namespace": s.o.ConsoleSpace})
	if err == nil {
		err = json.Unmarshal([]byte(text), &rule)
	}
	login.Description, login.Selector = rule.Description, rule.Selector
	return login, err
}
