package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/access"
)

// issuerURL accepts what an OpenID Connect provider may call itself, encrypted unless it is on this machine.
func issuerURL(s string) *problem {
	u, err := url.Parse(s)
	switch {
	case strings.Contains(s, "@"):
		return &problem{rule: "must not hold a user or password", fix: "use oidc.client_id and oidc.client_secret_file", hide: true}
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || strings.ContainsAny(s, "?# "):
		return broken("must be a URL that begins with https://", "use what the provider's /.well-known/openid-configuration has as issuer")
	case u.Scheme == "http" && !isLoopback(u.Host):
		return broken("must begin with https://: whoever is on the way could sign in as anybody", "use https://"+u.Host+u.Path+", with oidc.ca_cert if the authority is your own")
	}
	return nil
}

func withOpenID(scopes []string) *problem {
	if !slices.Contains(scopes, "openid") {
		return broken("must have openid", "add it")
	}
	return nil
}

func setGroups(c *Config, value any) *problem {
	var all []string
	p := put(func(*Config) *[]string { return &all }, items(line))(c, value)
	if p != nil {
		return p
	}
	c.OIDC.Groups = nil
	for _, text := range all {
		g, err := access.ParseGroupGrant(text)
		if err != nil {
			return broken("has an item that is wrong: "+err.Error(), `use "ml-team=vision:operator", with the role viewer, operator or admin, or "platform=administrator"`)
		}
		c.OIDC.Groups = append(c.OIDC.Groups, g)
	}
	return nil
}

// logIn checks how people sign in as a whole.
func (l *loader) logIn() {
	if l.cfg.Dev {
		for _, key := range []string{"auth.local", "oidc.issuer"} {
			if o, set := l.from[key]; set {
				l.cfg.Notes = append(l.cfg.Notes, fmt.Sprintf("%s (%s) has no effect with --dev, which has no log-in", key, o.source))
			}
		}
		l.cfg.Auth, l.cfg.OIDC = Auth{Local: true}, OIDC{}
		return
	}
	for _, key := range []string{"client_id", "client_secret", "scopes", "name", "user_claim", "groups_claim", "groups", "allowed_groups", "ca_cert"} {
		l.needs("oidc."+key, "oidc.issuer")
	}
	l.needs("oidc.issuer", "oidc.client_id")
	if o, set := l.from["oidc.issuer"]; set {
		if p := issuerURL(l.cfg.OIDC.Issuer); p != nil {
			if p.hide {
				o.value = hiddenSecret
			}
			l.fail("oidc.issuer", o.source, o.value, p.rule, p.fix)
		}
	}
	l.readable("oidc.ca_cert")
	if o := l.from["auth.local"]; !l.cfg.Auth.Local && l.cfg.OIDC.Issuer == "" {
		l.fail("auth.local", o.source, o.value, "needs oidc.issuer (COTRAIN_OIDC_ISSUER): nobody could sign in", "set it, or allow passwords")
	}
}
