package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/cotrain/cotrain/internal/access"
)

const (
	maxSubject = 255 // characters, by the specification
	maxGroups  = 5000
)

// Person is who a provider says that somebody is.
type Person struct {
	Issuer, Subject string
	Name            string // what a new user may be called, in the form of a login name; "" for nothing
	DisplayName     string
	Email           string // "" unless the provider has verified it
	Groups          []string
	SecondFactor    bool // the provider says that it asked for one
}

// claims are those of an ID token or of the user info, by name.
type claims map[string]json.RawMessage

func (c claims) text(name string) string {
	var s string
	_ = json.Unmarshal(c[name], &s) // of another type is none
	return strings.TrimSpace(s)
}

// person verifies the ID token that came with a token, and reads who it is about.
func (p *Provider) person(ctx context.Context, d *discovered, token *oauth2.Token, nonce string) (Person, error) {
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return Person{}, ErrInvalid.Because(errors.New("there is no ID token"))
	}
	id, err := d.verifier.Verify(ctx, raw)
	if err != nil {
		if ctx.Err() != nil || strings.Contains(err.Error(), "fetching keys") {
			return Person{}, ErrAway.Because(err)
		}
		return Person{}, ErrInvalid.Because(err)
	}
	var c claims
	if err := id.Claims(&c); err != nil {
		return Person{}, ErrInvalid.Because(err)
	}
	if err := p.check(id, c, nonce); err != nil {
		return Person{}, ErrInvalid.Because(err)
	}
	if err := p.complete(ctx, d, token, id.Subject, c); err != nil {
		return Person{}, err
	}
	out, err := p.read(c)
	out.Issuer, out.Subject = p.o.Issuer, id.Subject
	out.SecondFactor = p.twoFactors(c)
	return out, err
}

// check does what the library leaves to its caller, and times more strictly.
func (p *Provider) check(id *oidc.IDToken, c claims, nonce string) error {
	now := p.o.Now()
	var notBefore float64
	_, limited := c["nbf"]
	if limited && json.Unmarshal(c["nbf"], &notBefore) != nil {
		return errors.New("the ID token has no readable nbf")
	}
	switch azp := c.text("azp"); {
	case !equal(id.Nonce, nonce):
		return errors.New("the ID token is for another log-in: its nonce differs")
	case azp != "" && azp != p.o.ClientID, azp == "" && len(id.Audience) > 1:
		return errors.New("the ID token was issued to another client (azp)")
	case id.Subject == "" || len(id.Subject) > maxSubject:
		return errors.New("the ID token has no usable subject")
	case id.Expiry.IsZero() || !now.Before(id.Expiry.Add(Skew)):
		return fmt.Errorf("the ID token expired at %s, and it is %s: are the clocks right?", id.Expiry.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case id.IssuedAt.After(now.Add(Skew)), limited && time.Unix(int64(notBefore), 0).After(now.Add(Skew)):
		return fmt.Errorf("the ID token is of the future, %s, and it is %s: are the clocks right?", id.IssuedAt.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}

// complete adds what the ID token lacks from the user info: some providers keep the token short. One that cannot be asked
// signs nobody in, who might lose what their groups give.
func (p *Provider) complete(ctx context.Context, d *discovered, token *oauth2.Token, subject string, c claims) error {
	_, named := c[p.o.UserClaim]
	_, grouped := c[p.o.GroupsClaim]
	if named && grouped || p.checkAddress(d.provider.UserInfoEndpoint()) != nil {
		return nil
	}
	info, err := d.provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return ErrAway.Because(fmt.Errorf("user info: %w", err))
	}
	var more claims
	if err := info.Claims(&more); err != nil || info.Subject != subject {
		return ErrInvalid.Because(errors.New("the user info is about somebody else"))
	}
	for _, name := range []string{p.o.UserClaim, p.o.GroupsClaim, "name"} {
		if _, has := c[name]; !has && more[name] != nil {
			c[name] = more[name]
		}
	}
	if _, has := c["email"]; !has && more["email"] != nil { // verified or not belongs to it
		c["email"], c["email_verified"] = more["email"], more["email_verified"]
	}
	return nil
}

func (p *Provider) read(c claims) (Person, error) {
	out := Person{DisplayName: c.text("name")}
	if verified(c["email_verified"]) {
		out.Email = c.text("email")
	}
	user := c.text(p.o.UserClaim)
	if p.o.UserClaim == "email" {
		user = out.Email
	}
	for _, name := range []string{user, out.Email} {
		if name = loginName(name); out.Name == "" && access.CheckUserName(name) {
			out.Name = name
		}
	}
	var err error
	out.Groups, err = groups(c, p.o.GroupsClaim)
	return out, err
}

// AnyLogIn among the values of [Options.SecondFactor] is for a provider that always asks for a second factor and does not say so.
const AnyLogIn = "any"

// twoFactors reports whether the ID token says that the provider asked for a second factor, by how somebody signed in (amr) or the
// level of it (acr).
func (p *Provider) twoFactors(c claims) bool {
	var methods []string
	_ = json.Unmarshal(c["amr"], &methods) // of another type is none
	return slices.ContainsFunc(p.o.SecondFactor, func(value string) bool {
		return value == AnyLogIn || value == c.text("acr") || slices.Contains(methods, value)
	})
}

// loginName lowers ASCII letters only: others have look-alikes among them, such as the Kelvin sign, which must not become one.
func loginName(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// verified reads what some providers send as a text.
func verified(raw json.RawMessage) bool {
	return string(raw) == "true" || string(raw) == `"true"`
}

// groups reads one name or a list; no claim is no group. One that the provider left out, since they are too many, is an error.
func groups(c claims, name string) ([]string, error) {
	var elsewhere map[string]json.RawMessage
	if raw, ok := c["_claim_names"]; ok && json.Unmarshal(raw, &elsewhere) == nil && elsewhere[name] != nil {
		return nil, ErrInvalid.Because(errors.New("the groups are left out of the ID token: have the provider send only those that the console needs"))
	}
	raw, ok := c[name]
	if !ok || string(raw) == "null" {
		return nil, nil
	}
	var many []string
	if err := json.Unmarshal(raw, &many); err != nil {
		var one string
		if err := json.Unmarshal(raw, &one); err != nil {
			return nil, ErrInvalid.Because(fmt.Errorf("the claim %s is no list of names", name))
		}
		many = []string{one}
	}
	if len(many) > maxGroups {
		return nil, ErrInvalid.Because(fmt.Errorf("there are %d groups", len(many)))
	}
	return many, nil
}
