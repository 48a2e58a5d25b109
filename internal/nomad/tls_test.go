package nomad

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/certfile/certtest"
	"github.com/cotrain/cotrain/internal/fault"
)

// overTLS is an agent with a certificate, which asks for one of clients if an authority is given.
func overTLS(t *testing.T, pair certtest.Pair, clients *certtest.Authority) string {
	t.Helper()
	cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/jobs", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, []any{}) })
	mux.HandleFunc("GET /v1/status/leader", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, "127.0.0.1:4647") })
	mux.HandleFunc("GET /v1/agent/self", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, map[string]any{}) })
	s := httptest.NewUnstartedServer(mux)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if clients != nil {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(clients.PEM)
		s.TLS.ClientAuth, s.TLS.ClientCAs = tls.RequireAndVerifyClientCert, pool
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

func TestWhatIsWrongWithACertificateIsSaid(t *testing.T) {
	t.Parallel()
	ca, other := certtest.New(t), certtest.New(t)
	later := time.Now().Add(time.Hour)
	good, expired, elsewhere := ca.Issue(later, "127.0.0.1", "server.global.nomad"), ca.Issue(time.Now().Add(-time.Minute), "127.0.0.1"), ca.Issue(later, "nomad.example.com")
	folder := t.TempDir()
	caFile, otherFile := filepath.Join(folder, "ca.pem"), filepath.Join(folder, "other.pem")
	for path, pem := range map[string][]byte{caFile: ca.PEM, otherFile: other.PEM} {
		if err := os.WriteFile(path, pem, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	own, ownKey := ca.Issue(later, "cotrain").Write(t, t.TempDir())
	foreign, foreignKey := other.Issue(later, "cotrain").Write(t, t.TempDir())
	late, lateKey := ca.Issue(time.Now().Add(-time.Minute), "cotrain").Write(t, t.TempDir())
	for name, c := range map[string]struct {
		pair    certtest.Pair
		clients *certtest.Authority
		cfg     Config
		want    string // in what is said; "" for success
	}{
		"its authority":                      {good, nil, Config{CACert: caFile}, ""},
		"another authority":                  {good, nil, Config{CACert: otherFile}, "certificate signed by unknown authority"},
		"an authority of nobody":             {good, nil, Config{}, "certificate signed by unknown authority"},
		"an expired certificate":             {expired, nil, Config{CACert: caFile}, "certificate has expired or is not yet valid"},
		"another name":                       {elsewhere, nil, Config{CACert: caFile}, "cannot validate certificate for 127.0.0.1"},
		"the name that is asked for":         {good, nil, Config{CACert: caFile, TLSServerName: "server.global.nomad"}, ""},
		"another name than is asked for":     {good, nil, Config{CACert: caFile, TLSServerName: "server.eu.nomad"}, "nomad.tls_server_name (NOMAD_TLS_SERVER_NAME)"},
		"anything, with the operator's word": {expired, nil, Config{SkipVerify: true}, ""},
		"a client with its certificate":      {good, ca, Config{CACert: caFile, ClientCert: own, ClientKey: ownKey}, ""},
		"a client without one":               {good, ca, Config{CACert: caFile}, "Nomad ended the TLS handshake: tls: certificate required. Check nomad.client_cert"},
		"a client of another authority":      {good, ca, Config{CACert: caFile, ClientCert: foreign, ClientKey: foreignKey}, "Nomad ended the TLS handshake"},
		"a client whose has expired":         {good, ca, Config{CACert: caFile, ClientCert: late, ClientKey: lateKey}, "Nomad ended the TLS handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := c.cfg
			cfg.Address = overTLS(t, c.pair, c.clients)
			client, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			_, err = client.Ping(t.Context())
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if got := fault.Of(err).Text(); !errors.Is(err, fault.ErrNomadUnreachable) || !strings.Contains(got, c.want) {
				t.Errorf("says %q (%v), want %q", got, err, c.want)
			}
		})
	}
}

func TestHTTPToAServerOfHTTPSIsSaid(t *testing.T) {
	t.Parallel()
	url := overTLS(t, certtest.New(t).Issue(time.Now().Add(time.Hour), "127.0.0.1"), nil)
	client, err := New(Config{Address: strings.Replace(url, "https:", "http:", 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, err = client.Ping(t.Context())
	if got := fault.Of(err).Text(); !errors.Is(err, fault.ErrNomadUnreachable) || !strings.Contains(got, "takes HTTPS only. Give nomad.address (NOMAD_ADDR) with https://") {
		t.Errorf("says %q (%v)", got, err)
	}
}
