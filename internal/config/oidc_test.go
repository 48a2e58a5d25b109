package config

import (
	"slices"
	"strings"
	"testing"
)

func TestHowPeopleSignInMustBeWhole(t *testing.T) {
	t.Parallel()
	id := reached("oidc.issuer", "https://id.example", "oidc.client_id", "cotrain")
	for _, tt := range []struct {
		name             string
		w                world
		field, rule, fix string
	}{
		{"no way in", reached("auth.local", "false"), "--auth-local", "needs oidc.issuer (COTRAIN_OIDC_ISSUER): nobody could sign in", "allow passwords"},
		{"a provider that does not know the console", reached("oidc.issuer", "https://id.example"), "--oidc-issuer", "needs oidc.client_id", "both or neither"},
		{"a client of nobody", reached("oidc.client_id", "x"), "--oidc-client-id", "needs oidc.issuer", "both or neither"},
		{"groups of nobody", reached("oidc.groups", "a=administrator"), "--oidc-groups", "needs oidc.issuer", "both or neither"},
		{"plain HTTP", reached("oidc.client_id", "cotrain", "oidc.issuer", "http://id.example/x"), "--oidc-issuer", "sign in as anybody", "use https://id.example/x"},
		{"no URL", reached("oidc.client_id", "cotrain", "oidc.issuer", "id.example"), "--oidc-issuer", "begins with https://", "openid-configuration"},
		{"a query", reached("oidc.client_id", "cotrain", "oidc.issuer", "https://id.example?x"), "--oidc-issuer", "begins with https://", "openid-configuration"},
		{"a password in it", reached("oidc.client_id", "cotrain", "oidc.issuer", "https://u:hunter2@id.example"), "--oidc-issuer", "user or password", "client_secret_file"},
		{"scopes without openid", id.with("oidc.scopes", "email"), "--oidc-scopes", "must have openid", "add it"},
		{"a scope with a space", id.with("oidc.scopes", "openid email"), "--oidc-scopes", "one word", "white space"},
		{"a role that is none", id.with("oidc.groups", "ml=vision:boss"), "--oidc-groups", `"boss" is no role`, "ml-team=vision:operator"},
		{"a group without role", id.with("oidc.groups", "platform=administrator,ml"), "--oidc-groups", `"ml" is not GROUP=`, "platform=administrator"},
		{"an empty group", id.with("oidc.allowed_groups", "a,,b"), "--oidc-allowed-groups", "empty item", "remove it"},
		{"an authority that is missing", id.with("oidc.ca_cert", "gone"), "--oidc-ca-cert", "cannot be read", "correct the path"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.w.wantProblem(t, tt.field, tt.rule, tt.fix)
		})
	}
	for name, w := range map[string]world{
		"a provider on this machine": reached("oidc.issuer", "http://127.0.0.1:5556/dex", "oidc.client_id", "x"),
		"no passwords":               id.with("auth.local", "false"),
		"a group with equals signs":  id.with("oidc.groups", "CN=ml=default:viewer"),
	} {
		if _, err := w.load(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWithoutLogInAProviderIsLeftAside(t *testing.T) {
	t.Parallel()
	got, err := reached("dev", "true", "auth.local", "false", "oidc.issuer", "https://id.example").load()
	if err != nil || !got.Auth.Local || got.OIDC.Issuer != "" {
		t.Errorf("%+v, %v", got.OIDC, err)
	}
	for _, key := range []string{"auth.local (--auth-local)", "oidc.issuer (--oidc-issuer)"} {
		if !slices.ContainsFunc(got.Notes, func(n string) bool { return strings.HasPrefix(n, key+" has no effect with --dev") }) {
			t.Errorf("no note about %s: %q", key, got.Notes)
		}
	}
}
