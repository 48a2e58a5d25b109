package vault

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/cotrain/cotrain/internal/fault"
)

// Sign has a role of Vault's PKI sign a request for a certificate, in PEM. path is that of the call, such as pki/sign/cotrain; ttl is how
// long it should last, 0 for what the role says. It returns the certificate, then those that link it to its root, in PEM.
func (c *Client) Sign(ctx context.Context, path string, request []byte, ttl time.Duration) ([]byte, error) {
	block, _ := pem.Decode(request)
	if block == nil {
		return nil, fmt.Errorf("request for a certificate: %w: it is not in PEM", fault.ErrInvalid)
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("request for a certificate: %w: %w", fault.ErrInvalid, err)
	}
	// For roles that are told not to take the names from the request.
	ips := make([]string, len(csr.IPAddresses))
	for i, ip := range csr.IPAddresses {
		ips[i] = ip.String()
	}
	data := map[string]any{
		"csr": string(request), "common_name": csr.Subject.CommonName, "alt_names": strings.Join(csr.DNSNames, ","), "ip_sans": strings.Join(ips, ","), "format": "pem",
	}
	if ttl > 0 {
		data["ttl"] = ttl.String()
	}
	var got *api.Secret
	var refused error // by the role, not by the log-in
	err = c.call(ctx, "sign a certificate at "+path, func(ctx context.Context, as *api.Client) error {
		got, refused = as.Logical().WriteWithContext(ctx, path, data)
		return refused
	})
	if said := answer(refused); said != nil && said.StatusCode == http.StatusBadRequest { // it is about names and key types, and tells no secret
		return nil, fault.New(fault.ErrInvalid, fmt.Sprintf("Vault refuses to sign at %s: %s.", fault.Quote(path), fault.Quote(strings.TrimSuffix(strings.Join(said.Errors, "; "), "."))),
			"Change the role, or the names (tls.vault_names) and the lifetime (tls.vault_ttl) that are asked for. Its key_type has to be any, or ec.").Because(err)
	}
	if err != nil {
		return nil, err
	}
	if got == nil {
		got = &api.Secret{}
	}
	chain := chainOf(got.Data)
	if chain == nil {
		return nil, fault.New(fault.ErrInvalid, fmt.Sprintf("Vault's answer from %s is not a certificate.", fault.Quote(path)), "Check that the path is of the form MOUNT/sign/ROLE.")
	}
	return chain, nil
}

// chainOf is the certificate of an answer with those that link it to its root, which is left out: who trusts it has it.
func chainOf(data map[string]any) []byte {
	leaf := text(data["certificate"])
	if block, _ := pem.Decode([]byte(leaf)); block == nil {
		return nil
	}
	links := []any{data["issuing_ca"]}
	if chain, ok := data["ca_chain"].([]any); ok && len(chain) > 0 {
		links = chain
	}
	out := strings.TrimSpace(leaf) + "\n"
	for _, link := range links {
		block, _ := pem.Decode([]byte(text(link)))
		if block == nil {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err == nil && cert.CheckSignatureFrom(cert) == nil {
			continue
		}
		out += strings.TrimSpace(text(link)) + "\n"
	}
	return []byte(out)
}
