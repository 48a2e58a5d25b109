package config

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// reached is a console with these settings, as flags in pairs, beside which certificates exist.
func reached(pairs ...string) world {
	w := world{flags: Flags{}, files: map[string]string{"cert": "", "key": "", "ca": ""}}
	for i := 0; i < len(pairs); i += 2 {
		w.flags[pairs[i]] = pairs[i+1]
	}
	return w
}

// with adds settings.
func (w world) with(pairs ...string) world {
	more := reached(pairs...)
	maps.Copy(more.flags, w.flags)
	return more
}

func TestHowAConsoleIsReachedMustBeSafeAsAWhole(t *testing.T) {
	t.Parallel()
	network := reached("listen", "0.0.0.0:8443", "public_url", "https://cotrain.example.com")
	tls := network.with("tls.cert", "cert", "tls.key", "key")
	for _, tt := range []struct {
		name             string
		w                world
		field, rule, fix string
	}{
		{"every address, with the embedded agent", reached("listen", ":8080", "dev", "true"), "--listen", "loopback address with --dev: there is no log-in", "use 127.0.0.1:8080"},
		{"every IPv6 address, with the embedded agent", reached("listen", "[::]:8080", "dev", "true", "insecure_http", "true"), "--listen", "loopback", "SSH tunnel"},
		{"the network without a public URL", reached("listen", "10.0.0.1:80", "insecure_http", "true"), "--listen", "needs public_url (COTRAIN_PUBLIC_URL)", "https://cotrain.example.com"},
		{"the network in plain HTTP", reached("listen", "[::]:80", "public_url", "http://127.0.0.1"), "--listen", "passwords and tokens over the network in plain HTTP", "insecure_http"},
		{"a public URL that nobody encrypts", reached("public_url", "https://cotrain.example.com"), "--public-url", "nothing is known that ends TLS", "proxy.trusted"},
		{"a public URL in plain HTTP behind a proxy", reached("public_url", "http://cotrain.example.com/x", "proxy.trusted", "127.0.0.1"), "--public-url", "sent in plain HTTP", "use https://cotrain.example.com/x"},
		{"plain HTTP beside TLS", reached("public_url", "http://cotrain.example.com", "tls.cert", "cert", "tls.key", "key"), "--public-url", "while the web server has a certificate", "use https://cotrain.example.com"},
		{"a certificate without key", network.with("tls.cert", "cert"), "--tls-cert", "needs tls.key (COTRAIN_TLS_KEY)", "both or neither"},
		{"a key without certificate", network.with("tls.key", "key", "insecure_http", "true", "proxy.trusted", "10.0.0.1"), "--tls-key", "needs tls.cert", "both or neither"},
		{"clients' certificates without TLS", reached("tls.client_ca", "ca"), "--tls-client-ca", "needs tls.cert", "both or neither"},
		{"a redirect to nowhere", reached("tls.cert", "cert", "tls.key", "key", "tls.redirect_listen", "127.0.0.1:80"), "--tls-redirect-listen", "needs public_url", "both or neither"},
		{"two certificates", tls.with("tls.vault", "pki/sign/x", "vault.address", "http://vault"), "--tls-vault", "and so is tls.cert (COTRAIN_TLS_CERT)", "set one of them"},
		{"a certificate of no Vault", network.with("tls.vault", "pki/sign/x"), "--tls-vault", "needs vault.address (VAULT_ADDR)", "set it"},
		{"a certificate of Vault for nobody", reached("tls.vault", "pki/sign/x", "vault.address", "http://vault"), "--tls-vault", "needs a name", "tls.vault_names"},
		{"a key of Vault", reached("tls.vault", "pki/issue/x", "vault.address", "http://vault"), "--tls-vault", "of the form MOUNT/sign/ROLE", "use pki/sign/cotrain"},
		{"a role in a folder", reached("tls.vault", "pki/sign/x/y", "vault.address", "http://vault"), "--tls-vault", "of the form MOUNT/sign/ROLE", "use pki/sign/cotrain"},
		{"a path from the root", reached("tls.vault", "/v1/pki/sign/x", "vault.address", "http://vault"), "--tls-vault", "of the form MOUNT/sign/ROLE", "use pki/sign/cotrain"},
		{"names of a certificate that is not Vault's", tls.with("tls.vault_names", "a"), "--tls-vault-names", "needs tls.vault (COTRAIN_TLS_VAULT)", "both or neither"},
		{"a certificate for seconds", network.with("tls.vault", "pki/sign/x", "vault.address", "http://vault", "tls.vault_ttl", "59s"), "--tls-vault-ttl", "1m or more", "use 72h"},
		{"a certificate that is missing", tls.with("tls.client_ca", "gone"), "--tls-client-ca", "cannot be read: file does not exist", "correct the path"},
		{"a host name to listen at", reached("listen", "cotrain.example.com:80"), "--listen", "IP address of this machine", "use 127.0.0.1:80, or 0.0.0.0:80"},
		{"a public URL without scheme", reached("public_url", "cotrain.example.com"), "--public-url", "begins with https:// or http://", "use https://"},
		{"a public URL of another scheme", reached("public_url", "javascript://x"), "--public-url", "begins with https:// or http://", "use https://"},
		{"a public URL without host", reached("public_url", "https:///x"), "--public-url", "a host name", "use https://"},
		{"a public URL with a password", reached("public_url", "https://u:hunter2@x"), "--public-url", "user or password", "remove"},
		{"a public URL with a query", reached("public_url", "https://x/y?"), "--public-url", "end after the path", "use https://x/y"},
		{"a public URL with dots", reached("public_url", "https://x/a/../b"), "--public-url", "plain path", "use https://x/cotrain"},
		{"a public URL with an escape", reached("public_url", "https://x/a%22b"), "--public-url", "plain path", "use https://x/cotrain"},
		{"a public URL with two slashes", reached("public_url", "https://x//b"), "--public-url", "plain path", "use https://x/cotrain"},
		{"a host with a port", reached("hosts", "a:80"), "--hosts", "without a port", "use cotrain.example.com"},
		{"a host that is a URL", reached("hosts", "https://a"), "--hosts", "without a port", "use cotrain.example.com"},
		{"a proxy by name", reached("proxy.trusted", "proxy.example.com"), "--proxy-trusted", "addresses or CIDRs", "10.0.0.0/8"},
		{"everybody as a proxy", reached("proxy.trusted", "10.0.0.1,0.0.0.0/0"), "--proxy-trusted", "anybody could then pose", "proxies alone"},
		{"everybody as a proxy, in IPv6", reached("proxy.trusted", "::/0"), "--proxy-trusted", "anybody could then pose", "proxies alone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.w.wantProblem(t, tt.field, tt.rule, tt.fix)
		})
	}
}

func TestWhatIsRefusedIsNotMissedToo(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]world{
		"a path in Vault": reached("listen", "0.0.0.0:8443", "public_url", "https://cotrain.example.com", "tls.vault", "pki/issue/x", "vault.address", "http://vault",
			"tls.vault_names", "a", "tls.vault_ttl", "72h", "tls.client_ca", "ca", "tls.redirect_listen", ":80"),
		"a proxy":      reached("listen", "0.0.0.0:8443", "public_url", "https://cotrain.example.com", "proxy.trusted", "proxy.example.com"),
		"a public URL": reached("listen", "0.0.0.0:8443", "public_url", "cotrain.example.com", "tls.cert", "cert", "tls.key", "key", "tls.redirect_listen", ":80"),
	} {
		var errs run.FieldErrors
		if _, err := w.load(); !errors.As(err, &errs) || len(errs) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWaysToReachAConsoleThatAreTaken(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]world{
		"loopback":                             reached("listen", "127.8.9.1:80"),
		"loopback by name":                     reached("listen", "localhost:0"),
		"loopback in IPv6":                     reached("listen", "[::ffff:127.0.0.1]:8080", "dev", "true"),
		"TLS on loopback alone":                reached("tls.cert", "cert", "tls.key", "key"),
		"TLS on the network":                   reached("listen", ":443", "public_url", "https://cotrain.example.com", "tls.cert", "cert", "tls.key", "key", "tls.redirect_listen", ":80"),
		"a proxy on this machine":              reached("public_url", "https://cotrain.example.com/cotrain", "proxy.trusted", "127.0.0.1,::1"),
		"a proxy on another":                   reached("listen", "10.0.0.5:8080", "public_url", "https://cotrain.example.com", "proxy.trusted", "10.0.0.0/24"),
		"plain HTTP, with the operator's word": reached("listen", "10.0.0.5:8080", "public_url", "http://10.0.0.5:8080", "insecure_http", "true"),
		"a tunnel's near end":                  reached("public_url", "http://localhost:9000"),
	} {
		if _, err := w.load(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACertificateOfVaultIsForThePublicNamesUnlessOthersAreGiven(t *testing.T) {
	t.Parallel()
	w := reached("listen", "0.0.0.0:443", "public_url", "https://cotrain.example.com:8443/x", "hosts", "10.0.0.5,[fd00::1]", "tls.vault", "pki/eu/sign/cotrain", "vault.address", "http://vault", "tls.client_ca", "ca", "tls.redirect_listen", ":80")
	got, err := w.load()
	if err != nil || !slices.Equal(got.TLS.VaultNames, []string{"cotrain.example.com", "10.0.0.5", "fd00::1"}) || got.TLS.Vault != "pki/eu/sign/cotrain" || got.TLS.VaultTTL != 0 {
		t.Errorf("%+v, %v", got.TLS, err)
	}
	for name, w := range map[string]world{
		"flags":       w.with("tls.vault_names", "a,10.0.0.7", "tls.vault_ttl", "72h"),
		"file":        {flags: Flags{"config": "c"}, files: map[string]string{"c": "tls.vault = 'pki/sign/x'\ntls.vault_names = ['a', '10.0.0.7']\ntls.vault_ttl = '72h'\nvault.address = 'http://vault'"}},
		"environment": {env: map[string]string{"COTRAIN_TLS_VAULT": "pki/sign/x", "COTRAIN_TLS_VAULT_NAMES": "a, 10.0.0.7", "COTRAIN_TLS_VAULT_TTL": "72h", "VAULT_ADDR": "http://vault"}},
	} {
		if got, err := w.load(); err != nil || !slices.Equal(got.TLS.VaultNames, []string{"a", "10.0.0.7"}) || got.TLS.VaultTTL != 72*time.Hour || !got.TLS.On() {
			t.Errorf("%s: %+v, %v", name, got.TLS, err)
		}
	}
}

func TestAConsoleWithoutLogInIsNotOpenedByWhatIsLeftOver(t *testing.T) {
	t.Parallel()
	got, err := reached("dev", "true", "public_url", "https://cotrain.example.com", "hosts", "cotrain", "proxy.trusted", "127.0.0.1", "insecure_http", "true").load()
	if err != nil || got.PublicURL != "" || got.Hosts != nil || got.Proxy.Trusted != nil || got.InsecureHTTP {
		t.Errorf("%+v, %v", got, err)
	}
	for _, key := range []string{"public_url", "hosts", "proxy.trusted", "insecure_http"} {
		if !slices.ContainsFunc(got.Notes, func(note string) bool { return strings.HasPrefix(note, key+" ") }) {
			t.Errorf("no note about %s in %q", key, got.Notes)
		}
	}
}

func TestTrustedAddressesAreRead(t *testing.T) {
	t.Parallel()
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("fd00::1/128")}
	if got := (Proxy{Trusted: []string{"10.1.2.3/8", "::ffff:192.0.2.1", "fd00::1"}}).Prefixes(); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
