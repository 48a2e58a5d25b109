package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/localnomad"
)

const unixScheme = "unix://"

// ServeAgent serves the embedded agent alone until ctx ends.
func ServeAgent(ctx context.Context, o config.Agent, log *slog.Logger) error {
	if outside(o.Nodes, 1, 64) || outside(o.GPUs, 0, 64) {
		return fault.Usage("--nodes or --gpus is out of range", "use 1 to 64 nodes with 0 to 64 GPUs each")
	}
	listener, err := listen(ctx, o.Listen)
	if err != nil {
		return startError(err)
	}
	defer func() { _ = listener.Close() }() // already closed if it has served
	opts := localnomad.Options{DataDir: o.DataDir, SimulatedGPUs: o.GPUs, Logger: log}
	if o.Nodes != nil {
		opts.Nodes = *o.Nodes
	}
	if o.KeyFile != "" {
		key, err := os.ReadFile(o.KeyFile)
		if err != nil {
			return fault.Usage(fmt.Sprintf("--variables-key-file cannot be read: %v", err), "correct the path, or let this user read it")
		}
		if opts.VariablesKey = strings.TrimSpace(string(key)); len(opts.VariablesKey) < 32 {
			return fault.Usage(fmt.Sprintf("--variables-key-file %s has fewer than 32 characters", o.KeyFile), "use the output of openssl rand -base64 32")
		}
	}
	agent, err := localnomad.New(opts)
	if err != nil {
		return startError(err)
	}
	if err := agent.Start(ctx); err != nil {
		return errors.Join(err, stopWithin(ctx, agent, o.Kill))
	}
	addr, socket := listener.Addr().String(), strings.HasPrefix(o.Listen, unixScheme)
	if socket {
		addr = o.Listen
	}
	log.Info("listening", "addr", addr)
	if !socket {
		log.Warn("there is no log-in: every user of this machine can run commands through this port; use --listen unix:///path unless you trust them all", "addr", addr)
	}
	err = serve(ctx, listener, ownClients(agent.Handler(), socket))
	log.Info(stopping)
	return errors.Join(err, stopWithin(ctx, agent, o.Kill))
}

// outside reports whether a number is given and out of range.
func outside(n *int, least, most int) bool { return n != nil && (*n < least || *n > most) }

// listen opens a socket for this machine, or as a file for this user, only: whoever reaches it runs commands.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(addr, unixScheme); ok {
		return listenUnix(ctx, path)
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fault.Usage(fmt.Sprintf("--listen %q is neither host:port nor unix:///path", addr), "use 127.0.0.1:4646")
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.Unmap().IsLoopback()) {
		return nil, fault.Usage(fmt.Sprintf("--listen %s is not a loopback address, and whoever reaches the agent runs commands on this machine", addr), "use 127.0.0.1:4646 or unix:///path")
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w; choose another address with --listen", addr, err)
	}
	return l, nil
}

type socketListener struct {
	net.Listener
	path string
}

func (l *socketListener) Close() error {
	err := l.Listener.Close()
	if gone := os.Remove(l.path); err == nil && gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		err = gone
	}
	return err
}

// listenUnix creates the socket in a private folder and moves it into place with its final mode, so others can never
// open it. A dead agent's socket is replaced.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	if !filepath.IsAbs(path) {
		return nil, fault.Usage(fmt.Sprintf("--listen unix://%s does not name an absolute path", path), "use unix:///path")
	}
	if conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path); err == nil {
		_ = conn.Close() // answered
		return nil, fmt.Errorf("listen at %s: %w; choose another socket with --listen", path, syscall.EADDRINUSE)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return nil, fault.Usage(fmt.Sprintf("--listen %s exists and is not a socket", path), "choose another path")
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".agent-")
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // empty by then
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", filepath.Join(dir, "s"))
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // it would remove the original name
	}
	if err = os.Chmod(filepath.Join(dir, "s"), 0o600); err == nil {
		err = os.Rename(filepath.Join(dir, "s"), path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen at %s: %w", path, err), l.Close())
	}
	return &socketListener{l, path}, nil
}

// serve answers until ctx ends, then cuts streams, which never end by themselves.
func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }() // ends with Close below
	select {
	case err := <-done:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	err := srv.Close()
	if ended := <-done; !errors.Is(ended, http.ErrServerClosed) {
		return errors.Join(err, fmt.Errorf("serve: %w", ended))
	}
	return err
}

// ownClients keeps browsers out: they can reach loopback, and the agent runs commands. Nomad's clients send no Origin,
// and a Host that they connect to.
func ownClients(h http.Handler, socket bool) http.Handler {
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "" || cross.Check(r) != nil || !socket && !loopbackHost(r.Host) {
			http.Error(w, "The agent answers programs on this machine, not pages.", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func loopbackHost(host string) bool {
	name := (&url.URL{Host: host}).Hostname()
	ip, err := netip.ParseAddr(name)
	return strings.EqualFold(name, "localhost") || err == nil && ip.Unmap().IsLoopback()
}
