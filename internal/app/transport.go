package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/cotrain/cotrain/internal/certfile"
	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/inbound"
)

// Limits of HTTP connections. Sockets and streams are hijacked and have their own; bodies and answers are bounded by package
// web for each request.
const (
	readHeaderTimeout = 5 * time.Second // also of a TLS handshake
	idleTimeout       = 2 * time.Minute
	maxHeader         = 64 << 10 // bytes, with the URL
	// maxConnections is for one client's network; what it opens beyond is closed at once.
	maxConnections = 512
)

// openTransport listens, and reads the certificate.
func (a *App) openTransport(ctx context.Context) (err error) {
	if a.front, err = frontOf(a.cfg); err != nil {
		return err
	}
	if a.listener, err = a.listen(ctx, a.cfg.Listen, "COTRAIN_LISTEN"); err != nil {
		return err
	}
	if !a.cfg.TLS.On() {
		return nil
	}
	if a.certs, err = a.openCertificate(ctx); err != nil {
		return err
	}
	if a.cfg.TLS.RedirectListen == "" {
		return nil
	}
	l, err := a.listen(ctx, a.cfg.TLS.RedirectListen, "COTRAIN_TLS_REDIRECT_LISTEN")
	if err != nil {
		return err
	}
	a.redirect = &redirect{l, a.newServer(a.front.Resolve(redirectTo(a.front.Public)))}
	return nil
}

// certificate is the web server's.
type certificate interface {
	Config() *tls.Config
	Names() (names []string, until time.Time)
	Watch(ctx context.Context, report func(error)) error
}

// openCertificate reads the certificate, or has Vault sign one.
func (a *App) openCertificate(ctx context.Context) (certificate, error) {
	t, host := a.cfg.TLS, ""
	if a.front.Public != nil {
		host = a.front.Public.Hostname()
	}
	if t.Vault == "" {
		files, err := certfile.Open(certfile.Paths{Cert: t.Cert, Key: t.Key, ClientCA: t.ClientCA}, host, time.Now)
		if err != nil {
			return nil, fault.Usage(err.Error(), "correct the file, or tls.cert (COTRAIN_TLS_CERT), tls.key and tls.client_ca")
		}
		return files, nil
	}
	order := certfile.Order{From: "from " + t.Vault + " in Vault", Names: t.VaultNames, ClientCA: t.ClientCA, Host: host}
	signed, err := certfile.Get(ctx, order, func(ctx context.Context, request []byte) ([]byte, error) {
		chain, err := a.secrets.vault.Sign(ctx, t.Vault, request, t.VaultTTL)
		if err != nil {
			a.log.Warn("Vault signs no certificate", "part", "web", "err", err)
		}
		return chain, err
	}, time.Now)
	if told := (*fault.Error)(nil); errors.As(err, &told) {
		err = errors.New(told.Text())
	}
	if err != nil {
		return nil, fault.Usage(fmt.Sprintf("tls.vault (COTRAIN_TLS_VAULT) %q: %v", t.Vault, err), "")
	}
	return signed, nil
}

// frontOf is how the console is published.
func frontOf(cfg config.Config) (inbound.Front, error) {
	f := inbound.Front{Hosts: cfg.Hosts, Proxies: cfg.Proxy.Prefixes(), PlainHTTP: cfg.InsecureHTTP}
	if cfg.PublicURL == "" {
		return f, nil
	}
	u, err := url.Parse(cfg.PublicURL)
	f.Public = u
	return f, err
}

func (a *App) listen(ctx context.Context, address, setting string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w; choose another address with %s", address, err, setting)
	}
	l = inbound.Limit(l, maxConnections, func(addr netip.Addr) bool { return addr.IsLoopback() || a.front.Trusts(addr) })
	a.acquired("listener", func(context.Context) error { return ignoreClosed(l.Close()) })
	return l, nil
}

func (a *App) newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(a.log.With("part", "web").Handler(), slog.LevelDebug),
	}
}

// serve serves the console until it ends.
func (a *App) serve(ctx context.Context) error {
	return served(ctx, func() error {
		if a.certs == nil {
			return a.server.Serve(a.listener)
		}
		a.server.TLSConfig = a.certs.Config()
		return a.server.ServeTLS(a.listener, "", "")
	})
}

// served runs a server, which is closed before ctx ends.
func served(ctx context.Context, serve func() error) error {
	if err := serve(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-ctx.Done()
	return nil
}

// redirect answers plain HTTP with where the console is.
type redirect struct {
	listener net.Listener
	server   *http.Server
}

func (r *redirect) serve(ctx context.Context) error {
	return served(ctx, func() error { return r.server.Serve(r.listener) })
}

// redirectTo sends browsers to the same page of the public URL, whatever Host they asked for. What changes something has
// sent its secrets already, and must notice.
func redirectTo(public *url.URL) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, fault.New(fault.ErrPlainHTTP, "", "Use "+public.String()+".").Text(), fault.ErrPlainHTTP.Status())
			return
		}
		http.Redirect(w, r, public.String()+r.URL.RequestURI(), http.StatusPermanentRedirect)
	})
}

// watchCertificate follows the certificate's files, and says what is wrong with them.
func (a *App) watchCertificate(ctx context.Context) error {
	if a.certs == nil {
		<-ctx.Done()
		return nil
	}
	var told time.Time
	return a.certs.Watch(ctx, func(err error) {
		if names, until := a.certs.Names(); !until.Equal(told) {
			a.log.Info("certificate", "part", "web", "names", names, "until", until)
			told = until
		}
		a.health.setTLS(err)
	})
}

// url is where to open the console.
func (a *App) url() string {
	switch {
	case a.front.Public != nil:
		return a.front.Public.String()
	case a.certs != nil:
		return "https://" + a.Addr()
	}
	return "http://" + a.Addr()
}
