package vault_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/vault"
)

// TestARealVault needs VAULT_ADDR and a VAULT_TOKEN that may do everything, as of "bao server -dev". What it makes there goes again.
func TestARealVault(t *testing.T) {
	t.Parallel()
	address, root := os.Getenv("VAULT_ADDR"), os.Getenv("VAULT_TOKEN")
	if address == "" || root == "" {
		t.Skip("VAULT_ADDR and VAULT_TOKEN are not set: nothing ran against a real Vault")
	}
	a, err := api.NewClient(api.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("cotrain-test-%d", time.Now().UnixNano())
	one, two, role := name+"-1", name+"-2", name+"-role"
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	put := func(path string, data map[string]any) *api.Secret {
		t.Helper()
		s, err := a.Logical().WriteWithContext(t.Context(), path, data)
		do(err)
		return s
	}
	do(a.Sys().Mount(one, &api.MountInput{Type: "kv"}))
	do(a.Sys().Mount(two, &api.MountInput{Type: "kv", Options: map[string]string{"version": "2"}}))
	do(a.Sys().EnableAuthWithOptions(role, &api.EnableAuthOptions{Type: "approle"}))
	do(a.Sys().PutPolicy(name, fmt.Sprintf(`path %q { capabilities = ["read"] }
path %q { capabilities = ["read"] }`, one+"/*", two+"/data/*")))
	t.Cleanup(func() {
		for _, err := range []error{a.Sys().Unmount(one), a.Sys().Unmount(two), a.Sys().DisableAuth(role), a.Sys().DeletePolicy(name)} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	put("auth/"+role+"/role/cotrain", map[string]any{"token_policies": name, "token_ttl": "3s", "token_max_ttl": "6s"})
	got, err := a.Logical().ReadWithContext(t.Context(), "auth/"+role+"/role/cotrain/role-id")
	do(err)
	id := fmt.Sprint(got.Data["role_id"])
	secret := fmt.Sprint(put("auth/"+role+"/role/cotrain/secret-id", nil).Data["secret_id"])
	put(one+"/a b/ü", map[string]any{"text": "first", "number": 42})
	put(two+"/data/app", map[string]any{"data": map[string]any{"token": "second"}})
	put(two+"/data/gone", map[string]any{"data": map[string]any{"x": "y"}})
	_, err = a.Logical().DeleteWithContext(t.Context(), two+"/data/gone")
	do(err)

	auth := vault.Auth{Method: vault.ByAppRole, Mount: role, Role: id, SecretID: secret}
	c, err := vault.New(vault.Config{Address: address, Auth: auth})
	do(err)
	for text, want := range map[string]string{
		"vault:" + one + "/a b/ü#text": "first", "vault:" + one + "/a b/ü#number": "42", "vault:" + two + "/app#token": "second", "vault:" + two + "/data/app#token": "second",
	} {
		if value, err := c.Value(t.Context(), ref(t, text)); err != nil || value != want {
			t.Errorf("%s is %q, %v", text, value, err)
		}
	}
	for text, want := range map[string]string{
		"vault:" + two + "/gone#x": "nothing at", "vault:" + two + "/none#x": "nothing at", "vault:" + two + "/app#x": "no field x", "vault:sys/mounts#x": "does not let the console read sys/mounts",
	} {
		if _, err := c.Value(t.Context(), ref(t, text)); err == nil || !strings.Contains(fault.Of(err).What, want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	l := &told{}
	c.Follow(l.change, ref(t, "vault:"+two+"/app#token"))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx, l.report) }()
	put(two+"/data/app", map[string]any{"data": map[string]any{"token": "third"}})
	limit := time.Now().Add(3 * time.Minute) // it looks once a minute, and the token ends many times meanwhile
	for len(l.changes()) == 0 && time.Now().Before(limit) {
		time.Sleep(100 * time.Millisecond)
	}
	cancel()
	do(<-ended)
	if got := l.changes(); len(got) != 1 || got[0] != "third" || len(l.reported()) != 0 {
		t.Errorf("told %q, reported %q", got, l.reported())
	}
	c.Close(context.Background())
	wrong, err := vault.New(vault.Config{Address: address, Auth: vault.Auth{Method: vault.ByAppRole, Mount: role, Role: id, SecretID: "guess"}})
	do(err)
	if _, err := wrong.Value(t.Context(), ref(t, "vault:"+two+"/app#token")); err == nil || !strings.Contains(fault.Of(err).What, "refuses to log in at auth/"+role) {
		t.Errorf("with a wrong secret ID: %v", err)
	}
}
