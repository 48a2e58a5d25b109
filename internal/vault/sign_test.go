package vault_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/certfile"
	"github.com/cotrain/cotrain/internal/certfile/certtest"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/vault"
	"github.com/cotrain/cotrain/internal/vault/vaulttest"
)

const signPath = "pki/sign/cotrain"

// signed has a Vault sign a certificate for names.
func signed(t *testing.T, c *vault.Client, names ...string) (chain []byte, err error) {
	t.Helper()
	order := certfile.Order{From: "from Vault", Names: names}
	_, err = certfile.Get(t.Context(), order, func(ctx context.Context, request []byte) ([]byte, error) {
		chain, err = c.Sign(ctx, signPath, request, 72*time.Hour)
		return chain, err
	}, time.Now)
	return chain, err
}

func TestVaultSignsACertificateWithItsChain(t *testing.T) {
	t.Parallel()
	root := certtest.New(t)
	ca := root.Intermediate()
	f := vaulttest.New()
	var asked map[string]any
	withChain := true
	f.Signs = func(body map[string]any) (int, map[string]any) {
		asked = body
		data := map[string]any{"certificate": strings.TrimSpace(string(ca.Sign([]byte(body["csr"].(string)), time.Now(), time.Hour))), "issuing_ca": string(ca.PEM), "serial_number": "1"}
		if withChain {
			data["ca_chain"] = []string{string(ca.PEM), string(root.PEM)}
		}
		return 200, data
	}
	c := open(t, f, byRole())
	for _, withChain = range []bool{true, false} {
		chain, err := signed(t, c, "cotrain.example.com", "127.0.0.1")
		if err != nil || strings.Count(string(chain), "BEGIN CERTIFICATE") != 2 || !strings.HasSuffix(string(chain), string(ca.PEM)) {
			t.Errorf("chain %s, %v", chain, err)
		}
	}
	csr := asked["csr"]
	delete(asked, "csr")
	if asked["common_name"] != "cotrain.example.com" || asked["alt_names"] != "cotrain.example.com" || asked["ip_sans"] != "127.0.0.1" || asked["ttl"] != "72h0m0s" || strings.Contains(csr.(string), "PRIVATE") {
		t.Errorf("asked %v", asked)
	}
	delete(f.Tokens, "t1") // as when somebody revokes it
	if _, err := signed(t, c, "cotrain.example.com"); err != nil || f.LogIns != 2 {
		t.Errorf("%v after %d log-ins", err, f.LogIns)
	}
}

func TestWhyVaultSignsNothingIsSaid(t *testing.T) {
	t.Parallel()
	answer := func(code int, data map[string]any) func(*vaulttest.Vault) {
		return func(f *vaulttest.Vault) {
			f.Signs = func(map[string]any) (int, map[string]any) { return code, data }
		}
	}
	for name, c := range map[string]struct {
		change func(*vaulttest.Vault)
		kind   error
		want   string
	}{
		"a name that the role refuses": {answer(400, map[string]any{"error": "common name cotrain.example.com not allowed by this role"}), fault.ErrInvalid, "Vault refuses to sign at pki/sign/cotrain: common name cotrain.example.com not allowed by this role. Change the role"},
		"a key that the role refuses":  {answer(400, map[string]any{"error": "role requires keys of type rsa"}), fault.ErrInvalid, "keys of type rsa. Change the role, or the names (tls.vault_names) and the lifetime (tls.vault_ttl) that are asked for. Its key_type has to be any, or ec."},
		"a log-in that is refused": {func(f *vaulttest.Vault) {
			f.Fails = func(r *http.Request) (int, string) {
				if strings.Contains(r.URL.Path, "/auth/") {
					return 400, "invalid role or secret ID"
				}
				return 0, ""
			}
		}, fault.ErrInvalid, "refuses to log in at"},
		"no right":     {func(f *vaulttest.Vault) { f.Closed[signPath] = true }, fault.ErrForbidden, "does not let the console sign a certificate at pki/sign/cotrain"},
		"no such role": {func(*vaulttest.Vault) {}, fault.ErrInvalid, "refuses to sign a certificate at pki/sign/cotrain, with code 404"},
		"sealed": {func(f *vaulttest.Vault) {
			f.Fails = func(*http.Request) (int, string) { return 503, "Vault is sealed" }
		}, fault.ErrUnavailable, "Vault is sealed"},
		"away":                       {func(f *vaulttest.Vault) { f.Fails = func(*http.Request) (int, string) { return -1, "" } }, fault.ErrUnavailable, "cannot be reached"},
		"no certificate":             {answer(200, map[string]any{"signature": "x"}), fault.ErrInvalid, "answer from pki/sign/cotrain is not a certificate"},
		"a certificate that is none": {answer(200, map[string]any{"certificate": 7}), fault.ErrInvalid, "is not a certificate"},
		"nothing":                    {answer(200, nil), fault.ErrInvalid, "is not a certificate"},
	} {
		f := vaulttest.New()
		c.change(f)
		_, err := signed(t, open(t, f, byRole()), "cotrain.example.com")
		if !errors.Is(err, c.kind) || !strings.Contains(fault.Of(err).Text(), c.want) {
			t.Errorf("%s: %v, want %q", name, fault.Of(err).Text(), c.want)
		}
	}
	for _, request := range [][]byte{nil, []byte("x"), slices.Concat(certtest.New(t).PEM)} {
		if _, err := open(t, vaulttest.New(), byRole()).Sign(t.Context(), signPath, request, 0); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%.20q: %v", request, err)
		}
	}
}
