package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/cotrain/cotrain/internal/certfile"
	"github.com/cotrain/cotrain/internal/fault"
)

// answer is Vault's error, nil if there was none of its own.
func answer(err error) *api.ResponseError {
	said := (*api.ResponseError)(nil)
	if errors.As(err, &said) {
		return said
	}
	return nil
}

func denied(err error) bool { return refused(err, http.StatusForbidden) }

func refused(err error, code int) bool {
	said := answer(err)
	return said != nil && said.StatusCode == code
}

// away reports whether Vault did not come to decide about a call.
func away(err error) bool {
	said := answer(err)
	if said == nil {
		return err != nil
	}
	switch said.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, 472, 473: // the last two are of standby servers
		return true
	}
	return false
}

// explain says what kept a call from succeeding, and what to do. It never repeats a value: answers may hold some.
func explain(doing string, err error) error {
	if known := (*fault.Error)(nil); err == nil || errors.Is(err, context.Canceled) || errors.As(err, &known) {
		return err
	}
	later := func(what, fix string) error {
		return fault.New(fault.ErrUnavailable, what, fix).Because(fmt.Errorf("%s: %w", doing, err))
	}
	said := answer(err)
	problem, ofServer := certfile.Problem(err)
	switch {
	case problem != "" && ofServer:
		return later("Vault's certificate is not accepted: "+fault.Quote(problem)+".", "Check vault.ca_cert (VAULT_CACERT), vault.tls_server_name (VAULT_TLS_SERVER_NAME), and that the certificate has not expired.")
	case problem != "":
		return later("Vault ended the TLS handshake: "+fault.Quote(problem)+".", "Check vault.client_cert (VAULT_CLIENT_CERT) and vault.client_key (VAULT_CLIENT_KEY).")
	case said == nil:
		return later("Vault cannot be reached to "+doing+".", "Check vault.address (VAULT_ADDR), and that Vault runs.")
	case said.StatusCode == http.StatusServiceUnavailable && strings.Contains(strings.Join(said.Errors, " "), "sealed"):
		return later("Vault is sealed.", "Unseal it: vault operator unseal.")
	case said.StatusCode == http.StatusTooManyRequests:
		return later("Vault says that there were too many requests.", "It is tried again later; check Vault's rate limit quotas.")
	case away(err):
		return later("Vault has no active server, or is starting.", "It is tried again; check vault status on its servers.")
	case said.StatusCode >= http.StatusInternalServerError:
		return later(fmt.Sprintf("Vault failed with code %d when asked to %s.", said.StatusCode, doing), "Vault's own log says why.")
	case said.StatusCode == http.StatusForbidden:
		return fault.New(fault.ErrForbidden, "Vault does not let the console "+doing+".", "Give it a policy that does, and check that its token or role is the right one (vault.auth).").Because(err)
	}
	return fault.New(fault.ErrInvalid, fmt.Sprintf("Vault refuses to %s, with code %d.", doing, said.StatusCode), "Check the path, and the role or token that vault.auth names.").Because(err)
}
